"""What is saved while a unit runs, for the next experiment, is never locked as what made this one's outputs."""

import pytest

from flows.cli.stage import stage as stage_command
from flows.execution.unit import WORK, find_unit
from flows.orchestration import tasks
from flows.tracking import runs
from flows.versioning import dvc_yaml
from flows.versioning.repo import find_changes
from hfi_core.errors import UserError
from tests.support import fakes


@pytest.fixture
def meanwhile(inside, monkeypatch):
    """Do something as the next unit writes its outputs, once."""
    monkeypatch.setattr(runs, "record_unit", lambda *_: None)
    write, todo = fakes._write, []

    def writing(*arguments):
        while todo:
            todo.pop()()
        write(*arguments)

    monkeypatch.setattr(fakes, "_write", writing)
    return todo.append


def by_flow(project, name: str, unit: str) -> None:
    tasks.run_and_commit(find_unit(project.params, name, unit, 1), project.params, None)


def by_command(project, name: str, unit: str) -> None:
    stage_command(name, 1, unit)


@pytest.mark.parametrize("run_unit", [by_flow, by_command])
def test_params_edited_during_a_unit_are_not_recorded_as_its_own(inside, meanwhile, run_unit):
    seed = inside.params.seed
    meanwhile(lambda: inside.edit(seed=seed + 1))
    with pytest.raises(UserError, match=r"params.yaml was changed since it was read \(seed\)"):
        run_unit(inside, "generate", "badge")
    assert find_changes("generate@badge"), "the next run does it again"
    inside.edit(seed=seed)
    inside.forget()
    by_flow(inside, "generate", "badge")
    assert not find_changes("generate@badge")
    assert inside.ran() == [] and not list(WORK.iterdir()), "it went on from the checkpoints"


def test_a_file_of_prompts_that_is_edited_during_a_unit_is_not_recorded_as_its_own(inside, meanwhile):
    file = inside.folder / "prompts.txt"
    file.write_text("a cup\n")
    inside.edit(evaluate__suites__unrelated={"file": "prompts.txt", "pictures": 1})
    dvc_yaml.write(inside.params)
    (inside.folder / "models").mkdir()
    meanwhile(lambda: file.write_text("a cup\na house\n"))
    with pytest.raises(UserError, match=r"was changed since it was read \(evaluate.suites\)"):
        by_flow(inside, "compare", "")


def test_params_that_a_unit_does_not_read_may_change_meanwhile(inside, meanwhile):
    meanwhile(lambda: inside.edit(reward__steps=7))
    by_flow(inside, "generate", "badge")
    assert not find_changes("generate@badge")


def test_a_unit_whose_params_differ_before_it_begins_takes_no_step(inside):
    earlier = inside.params
    inside.edit(seed=earlier.seed + 1)
    with pytest.raises(UserError, match="was changed since it was read"):
        tasks.run_and_commit(find_unit(earlier, "generate", "badge", 1), earlier, None)
    assert inside.ran() == []


def test_a_row_that_is_taken_out_or_a_file_that_is_moved_meanwhile_is_named(inside, meanwhile):
    by_flow(inside, "generate", "badge")
    meanwhile(lambda: inside.edit(feedback__simulated={}, feedback__file="data/feedback/other.jsonl"))
    with pytest.raises(UserError, match="simulate@crowd is gone or has other files"):
        by_flow(inside, "simulate", next(iter(inside.params.feedback.simulated)))


@pytest.mark.parametrize("run_unit", [by_flow, by_command])
def test_an_input_that_is_changed_meanwhile_is_not_recorded_either(inside, meanwhile, run_unit):
    by_flow(inside, "generate", "badge")
    meanwhile(lambda: (inside.folder / "candidates/badge/content.json").write_text("{}"))
    with pytest.raises(UserError, match=r"What simulate@\w+ reads \(candidates\) was changed while it ran"):
        run_unit(inside, "simulate", next(iter(inside.params.feedback.simulated)))
    assert "simulate" in str(find_changes())


def test_stages_that_are_changed_meanwhile_are_not_recorded(inside, meanwhile):
    file = inside.folder / "dvc.yaml"
    meanwhile(lambda: file.write_text(file.read_text().replace("--revision 1", "--revision 2")))
    with pytest.raises(UserError, match="run `hfi params sync`"):
        by_flow(inside, "generate", "badge")
    assert not (inside.folder / "dvc.lock").exists()
