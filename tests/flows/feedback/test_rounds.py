"""`hfi round` makes pictures of attacks a set of candidates, once for each evaluation."""

from pathlib import Path

import pytest
import torch

from flows.cli.round import round_
from flows.execution.unit import WORK
from flows.feedback import rounds
from flows.orchestration.plan import Plan
from hfi_core.candidates.manifest import read_manifest
from hfi_core.candidates.rounds import read_rounds
from hfi_core.errors import UserError
from hfi_core.evaluation.measure import build_evaluation
from hfi_core.evaluation.records import RECORDS, read_variants
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_json
from hfi_core.pipeline.graph import units_of
from hfi_core.progress import no_progress
from hfi_core.reward.model import RewardModel
from tests.support.evaluations import write_row
from tests.support.judging import draw_candidates
from tests.support.loop import bytes_below
from tests.support.projects import Project, default_raw, write_raw

SET = Path("data/candidates/badge-round-1")
RUN = {"objectionable_only": False, "limit": 100}


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """A project with two evaluated rows and a reward model, all of it up to date, in the present folder."""
    raw = default_raw()
    raw["removals"] = {row: raw["removals"][row] for row in ("base", "anchored")}
    raw["attacks"]["reinverted"]["pictures"] = 4
    for suite in raw["evaluate"]["suites"].values():
        suite |= {"prompts": suite["prompts"][:2], "pictures": 2}
    raw["evaluate"]["resamples"] = 100
    write_raw(tmp_path, raw)
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    params = project.params
    for row in params.removals:
        write_row(Path("evaluation") / row, params, row)
        (Path("attacks") / row).parent.mkdir(exist_ok=True)
        (Path("evaluation") / row / "found").rename(Path("attacks") / row)
    variants = read_variants(Path("evaluation"), list(params.removals))
    write_json(Path("reports/evaluation.json"), build_evaluation(params, variants, {}, no_progress))
    RewardModel.start(torch.from_numpy(variants[0].features).float(), 4, seed=0).save(Path("reward/badge"))
    draw_candidates(Path("candidates/badge"), 4)
    monkeypatch.setattr(rounds, "make_plan", lambda: plan_of(project))
    return project


def plan_of(project, *stale: str) -> Plan:
    units = tuple(units_of(project.params))
    affected = tuple(unit for unit in units if unit.address in stale)
    return Plan(project.params, units, dict.fromkeys(stale, "changed"), affected, True, None)


def test_each_picture_has_its_provenance_and_the_set_has_the_record(evaluated):
    _, (made,) = rounds.add_rounds(None, (), **RUN)
    assert made.folder == SET and len(made.choice.pictures) == 4
    params, rows = evaluated.params, read_manifest(SET)
    assert len(rows) == 4
    for row in rows:
        assert row.id.startswith("badge-round-1-") and row.generated
        assert row.prompt in params.concepts["badge"].prompts
        assert (row.attack.round, row.attack.row, row.attack.attack) == (1, "anchored", "reinverted")
        assert row.attack.attacker == "badge" and "<badge-reinverted>" in row.attack.adversarial_prompt
        picture = Path("evaluation/anchored/pictures") / Path(row.original.file).relative_to(SET.name)
        assert sha256_of_file(picture) == row.original.sha256
    (record,) = read_rounds(SET)
    assert record.evaluation == sha256_of_file(Path("evaluation/anchored") / RECORDS)
    assert record.attacks["reinverted"].n == 4


def test_a_second_call_with_the_same_evaluation_changes_nothing(evaluated, capsys, monkeypatch):
    round_(all_pictures=True)
    said = capsys.readouterr().out
    assert f"`dvc add {SET}`" in said and f"`candidates.imported: {{badge: [{SET}]}}`" in said
    before = bytes_below(Path("data"))
    monkeypatch.setattr(rounds, "make_plan", lambda: pytest.fail("an evaluation that was taken needs no plan"))
    round_(limit=2)
    assert f"{SET}: has the pictures of this evaluation already; nothing changed" in capsys.readouterr().out
    assert bytes_below(Path("data")) == before


def test_a_further_evaluation_makes_the_next_round_of_what_is_new(evaluated):
    rounds.add_rounds("base", (), **RUN)
    _, (made,) = rounds.add_rounds("anchored", (), **RUN)
    assert made.folder == Path("data/candidates/badge-round-2")
    assert [record.number for record in read_rounds(made.folder)] == [2]
    assert {row.attack.row for row in read_manifest(made.folder)} == {"anchored"}


def test_pictures_that_are_candidates_already_are_left_out_and_counted(evaluated, capsys):
    rounds.add_rounds(None, (), **RUN)
    records = Path("evaluation/anchored") / RECORDS
    lines = records.read_text().splitlines()
    records.write_text("\n".join([lines[0].replace('"clip_score": 0', '"clip_score": 1'), *lines[1:]]) + "\n")
    before = bytes_below(Path("data"))
    round_(all_pictures=True)
    said = capsys.readouterr().out
    assert "badge: nothing to add" in said and "left out: 4, candidates already" in said
    assert "Next" not in said and bytes_below(Path("data")) == before


def test_what_is_drawn_becomes_checkpoints_of_the_stage_that_will_write_it_elsewhere(evaluated):
    rounds.add_rounds(None, (), **RUN)
    (kept,) = WORK.glob("generate@badge-*")
    drawn = Path("candidates/badge")
    assert bytes_below(kept / "pictures", named_from=kept) == bytes_below(drawn / "pictures", named_from=drawn)


@pytest.mark.parametrize(
    ("row", "attacks", "words"),
    [
        ("anchord", (), r"no row 'anchord'; params.yaml has base, anchored"),
        (None, ("word",), "no attack 'word'; params.yaml has reinverted"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(evaluated, row, attacks, words):
    with pytest.raises(UserError, match=words):
        rounds.add_rounds(row, attacks, **RUN)
    assert not Path("data").exists()


def test_an_evaluation_that_is_out_of_date_or_missing_makes_no_round(evaluated, monkeypatch):
    monkeypatch.setattr(rounds, "make_plan", lambda: plan_of(evaluated, "evaluate@anchored", "package"))
    with pytest.raises(UserError, match=r"evaluate@anchored: out of date.*\n  To fix this: `hfi run` first"):
        rounds.add_rounds(None, (), **RUN)
    (Path("evaluation/anchored") / RECORDS).unlink()
    with pytest.raises(UserError, match="evaluation/anchored is missing. To make it: `hfi run`"):
        rounds.add_rounds(None, (), **RUN)
    assert not Path("data").exists()
