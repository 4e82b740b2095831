import json

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.labels import read_labels
from hfi_core.io.hashing import sha256_of_folder
from hfi_core.pipeline.stage import StageContext
from hfi_core.reward import model
from hfi_core.reward.model import WEIGHTS, RewardModel
from hfi_core.stages import compare, ingest, reward
from tests.support.judging import draw_candidates, is_flagged, ranking, vote, write_lines
from tests.support.projects import read_rows

COUNT = 48


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Drawn badges, a quarter for each emblem."""
    folder = tmp_path_factory.mktemp("candidates")
    return folder, draw_candidates(folder, COUNT)


def _votes(rows):
    return [vote(row, "yes" if is_flagged(row) else "no", who) for row in rows for who in ("ana", "bo")]


def _rankings(rows):
    names = [row.id for row in sorted(rows, key=lambda row: (is_flagged(row), row.id))]
    return [
        ranking([[name] for name in names[start::step]], id=f"{step}-{start}")
        for step in (4, 7, 9)
        for start in range(step)
    ]


def _labelled(project, drawn, rows):
    inputs = {"feedback": write_lines(project.folder / "f.jsonl", rows), "candidates": drawn[0]}
    ingest.run(StageContext(project.params, inputs, {"labels": project.folder / "labels"}, "badge"))


def _reward(project, drawn, name="reward", **options):
    inputs = {"labels": project.folder / "labels", "candidates": drawn[0]}
    return reward.run(StageContext(project.params, inputs, {"reward": project.folder / name}, "badge", **options))


def test_the_stage_writes_a_model_its_scores_its_curve_and_a_report(project, drawn):
    _labelled(project, drawn, _votes(drawn[1]))
    seen = []
    figures = _reward(project, drawn, progress=lambda done, total, what: seen.append((done, total, what)))
    folder = project.folder / "reward"
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, "scores.jsonl", "steps.csv", "report.json"}
    scores = read_rows(folder / "scores.jsonl")
    assert {row["split"] for row in scores} == {"train", "held_out"}
    assert all(0 <= row["reward"] <= 1 and row["label"] in (0, 1) for row in scores)
    assert [row["picture"] for row in scores] == sorted(row["picture"] for row in scores)
    report = json.loads((folder / "report.json").read_text())
    assert {name: figure["value"] for name, figure in report["metrics"].items()} == figures
    assert set(figures) == {"auc", "accuracy", "calibration_error"}
    assert all(figure.keys() == {"value", "n"} for figure in report["metrics"].values())
    assert report["simulated"] is False
    assert report["split"]["train"] + report["split"]["held_out"] == len(scores)
    lines = (folder / "steps.csv").read_text().splitlines()
    assert lines[0] == "step,loss,held_out_loss" and len(lines) == 1 + project.params.reward.steps
    assert seen[-1][:2] == (project.params.reward.steps, project.params.reward.steps)
    assert RewardModel.load(folder).inner.weight.shape[0] == project.params.reward.hidden


def test_pictures_kept_for_the_attacker_are_neither_scored_nor_read(project, drawn):
    _labelled(project, drawn, _votes(drawn[1]))
    labels = read_labels(project.folder / "labels")
    reserved = {label.picture for label in labels if label.part == "attack"}
    assert reserved
    opened = []
    original = model.read_pictures
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "read_pictures", lambda folder, part: opened.extend(part) or original(folder, part))
        _reward(project, drawn)
    assert {row["picture"] for row in read_rows(project.folder / "reward/scores.jsonl")} == {
        label.picture for label in labels
    } - reserved
    assert not reserved & {candidate.id for candidate in opened}


@pytest.mark.parametrize("kind", ["binary", "ranking"])
def test_the_stage_run_again_or_from_a_checkpoint_writes_the_same_bytes(project, drawn, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(model, "CHECKPOINT_EVERY", 6)
    project.edit(concepts__badge__feedback=kind)
    _labelled(project, drawn, _votes(drawn[1]) if kind == "binary" else _rankings(drawn[1]))
    _reward(project, drawn, "one")

    def dying(done, total, what):
        if what.startswith("fitting") and done == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _reward(project, drawn, "two", work=tmp_path / "work", progress=dying)
    assert not (project.folder / "two").exists()
    _reward(project, drawn, "two", work=tmp_path / "work")
    assert sha256_of_folder(project.folder / "one") == sha256_of_folder(project.folder / "two")


def test_rankings_give_rewards_between_0_and_1_and_are_measured_by_pairs(project, drawn):
    project.edit(concepts__badge__feedback="ranking", reward__steps=60)
    _labelled(project, drawn, _rankings(drawn[1]))
    figures = _reward(project, drawn)
    assert set(figures) == {"pair_accuracy", "spearman"}
    rewards = [row["reward"] for row in read_rows(project.folder / "reward/scores.jsonl")]
    assert min(rewards) >= 0 and max(rewards) <= 1 and min(rewards) < 0.5 < max(rewards)


def test_one_class_is_refused_and_leaves_an_earlier_model_as_it_was(project, drawn):
    _labelled(project, drawn, _votes(drawn[1]))
    _reward(project, drawn)
    before = sha256_of_folder(project.folder / "reward")
    _labelled(project, drawn, [row | {"answer": "no"} for row in _votes(drawn[1])])
    with pytest.raises(UserError, match=r"(?s)0 of \d+ labelled pictures are objectionable.*To fix this"):
        _reward(project, drawn)
    assert sha256_of_folder(project.folder / "reward") == before


def test_too_few_labels_are_refused_before_any_model_is_loaded(project, drawn):
    _labelled(project, drawn, _votes(drawn[1][:6]))
    project.edit(clip__source="missing/folder")
    with pytest.raises(UserError, match="reward.least asks for 8"):
        _reward(project, drawn)


@pytest.mark.parametrize("kind", ["binary", "ranking"])
def test_the_settings_of_the_intervals_change_no_byte_and_the_comparison_computes_them(project, drawn, kind):
    project.edit(concepts__badge__feedback=kind, reward__steps=60)
    _labelled(project, drawn, _votes(drawn[1]) if kind == "binary" else _rankings(drawn[1]))
    figures = _reward(project, drawn, "one/badge")
    project.edit(evaluate__resamples=200, evaluate__level=0.8)
    _reward(project, drawn, "two/badge")
    assert sha256_of_folder(project.folder / "one") == sha256_of_folder(project.folder / "two")
    (project.folder / "all").mkdir()
    (project.folder / "labels").rename(project.folder / "all/badge")
    inputs = {"reward": project.folder / "one", "labels": project.folder / "all"}
    narrow = compare._read_reward(project.params, inputs, "badge")["metrics"]
    project.edit(evaluate__level=0.99)
    wide = compare._read_reward(project.params, inputs, "badge")["metrics"]
    assert {name: figure["value"] for name, figure in narrow.items()} == figures
    bounded = [name for name, figure in narrow.items() if figure["low"] is not None]
    assert bounded
    for name in bounded:
        assert wide[name]["low"] <= narrow[name]["low"] <= narrow[name]["high"] <= wide[name]["high"]
