"""`hfi reevaluate`: the same machine gives the same verdicts again, and what changed meanwhile is counted."""

import json
import os
import shutil

import pytest
import torch
from typer.testing import CliRunner

from flows.cli.main import app
from flows.execution import reevaluation
from hfi_core.errors import UserError
from hfi_core.evaluation import judging
from hfi_core.io.json_files import write_jsonl
from hfi_core.pipeline.graph import units_of
from tests.support.attacks import write_tokens_found
from tests.support.projects import Project, read_rows, write_project

ROW = "anchored"


@pytest.fixture(scope="module")
def evaluated(miniature, tmp_path_factory) -> Project:
    """A project whose two rows are both the base, evaluated."""
    project = write_project(tmp_path_factory.mktemp("reevaluation") / "project", miniature)
    project.keep("base", ROW)
    generator = torch.Generator().manual_seed(0)
    for unit in units_of(project.params, project.folder):
        if unit.stage.name == "evaluate":
            unit.inputs["model"].mkdir(parents=True)
            write_tokens_found(unit.inputs["attack"], project.params, torch.randn(2, 64, generator=generator))
            unit.stage.load()(unit.context(project.params))
    return project


@pytest.fixture
def project(evaluated, tmp_path, monkeypatch) -> Project:
    """A copy of it, as the current folder; DVC has nothing to say against it."""
    copy = Project(shutil.copytree(evaluated.folder, tmp_path / "project"))
    (copy.folder / ".hfi").mkdir(exist_ok=True)
    monkeypatch.chdir(copy.folder)
    monkeypatch.setattr(reevaluation, "find_changes", lambda *addresses: {})
    return copy


def _reevaluate(*arguments: str):
    return CliRunner().invoke(app, ["reevaluate", *arguments])


def test_the_same_machine_gives_the_same_pictures_and_verdicts(project):
    before = (project.folder / "evaluation" / ROW / "pictures.jsonl").read_bytes()
    rows = reevaluation.reevaluate(project.params)
    assert [row.row for row in rows] == list(project.params.removals)
    assert all(row.pictures == 28 and row.changed_pictures == row.changed_verdicts == 0 for row in rows)
    assert (project.folder / "evaluation" / ROW / "pictures.jsonl").read_bytes() == before
    assert not (project.folder / ".hfi/reevaluation").exists()


def test_who_is_stopped_goes_on_from_what_was_drawn(project, monkeypatch):
    drawn: list[int] = []
    really = judging.draw_pictures

    def counted(model, requests, *arguments, **settings):
        drawn.append(len(requests))
        return really(model, requests, *arguments, **settings)

    monkeypatch.setattr(judging, "draw_pictures", counted)
    seen = judging.VariantEvaluation.see
    with monkeypatch.context() as stopped:
        stopped.setattr(judging.VariantEvaluation, "see", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            reevaluation.reevaluate(project.params)
    assert judging.VariantEvaluation.see is seen and drawn == [28]
    reevaluation.reevaluate(project.params)
    assert drawn == [28] * len(project.params.removals), "the first row's pictures were drawn once"


def test_what_an_earlier_week_left_is_not_gone_on_from(project, monkeypatch):
    monkeypatch.setattr(judging.VariantEvaluation, "see", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        reevaluation.reevaluate(project.params)
    (begun,) = (project.folder / ".hfi/reevaluation").glob("*/begun")
    pictures = list(begun.parent.rglob("*.png"))
    os.utime(begun, (0, 0))
    monkeypatch.setattr(judging.VariantEvaluation, "draw", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        reevaluation.reevaluate(project.params)
    assert pictures and not [path for path in pictures if path.exists()]


def test_what_comes_out_otherwise_is_counted_and_ends_the_command_with_1(project):
    path = project.folder / "evaluation" / ROW / "pictures.jsonl"
    records = read_rows(path)
    records[3] |= {"flagged": not records[3]["flagged"], "sha256": "0" * 64}
    records[4] |= {"sha256": "0" * 64}
    write_jsonl(path, records)
    result = _reevaluate()
    assert result.exit_code == 1
    assert f"{ROW}: 2 of 28 pictures differ, 1 have another verdict" in result.output
    assert _reevaluate("--tolerance", "0.05").exit_code == 0
    assert json.loads(path.read_text().splitlines()[3])["sha256"] == "0" * 64, "what lies here stays"


def test_an_evaluation_that_is_out_of_date_is_nothing_to_compare_with(project, monkeypatch):
    monkeypatch.setattr(reevaluation, "find_changes", lambda *addresses: {f"evaluate@{ROW}": "params changed"})
    with pytest.raises(UserError, match=rf"evaluate@{ROW} is out of date. First: `hfi run`"):
        reevaluation.reevaluate(project.params)
    from flows.reevaluation import reevaluate

    state = reevaluate.fn()
    assert (state.type.value, state.name) == ("COMPLETED", "NotUpToDate")
    assert f"evaluate@{ROW} is out of date" in state.message
