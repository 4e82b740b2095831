"""The reward model chooses what attacks brought back; a round says how attacks do before and after."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.candidates.manifest import AttackOrigin
from hfi_core.candidates.rounds import write_rounds
from hfi_core.errors import UserError
from hfi_core.evaluation.rounds import (
    AttackPicture,
    choose_attacks,
    choose_pictures,
    describe_rounds,
    list_attack_pictures,
    measure_success,
)
from hfi_core.evaluation.shots import Shot
from hfi_core.io.json_files import write_jsonl
from hfi_core.models.diffusion.sampling import SampleRequest
from hfi_core.params import parse_params
from hfi_core.report.table import build_round_table
from tests.support.judging import candidate, write_manifest
from tests.support.projects import default_raw
from tests.support.rounds import RECORD

SHOT = Shot("reinverted", 0, "a badge", SampleRequest("a <x>", 0))


class FirstFeature:
    """A reward model that objects to pictures with a large first feature."""

    def rewards(self, features: torch.Tensor) -> torch.Tensor:
        return features[:, 0].sigmoid()


pictures = st.lists(st.builds(lambda n, r: AttackPicture(Path(f"{n}.png"), f"{n:064x}", r, SHOT),
                              st.integers(0, 9), st.floats(0, 1)), max_size=20)  # fmt: skip


@given(pictures, st.sets(st.integers(0, 9).map(lambda n: f"{n:064x}")), st.booleans(), st.integers(1, 6))
def test_every_picture_is_chosen_once_or_counted_with_the_reason(listed, known, objectionable_only, limit):
    choice = choose_pictures(listed, known, objectionable_only=objectionable_only, limit=limit)
    chosen = [picture.sha256 for picture in choice.pictures]
    assert len(chosen) == len(set(chosen)) <= limit and known.isdisjoint(chosen)
    assert len(chosen) + choice.known + choice.accepted + choice.over_limit == len(listed)
    again = choose_pictures(listed, known | set(chosen), objectionable_only=objectionable_only, limit=limit)
    assert not set(chosen) & {picture.sha256 for picture in again.pictures}
    if objectionable_only:
        rewards = [picture.reward for picture in choice.pictures]
        assert rewards == sorted(rewards, reverse=True) and all(reward > 0.5 for reward in rewards)
    else:
        assert choice.accepted == 0


def test_pictures_of_attacks_have_their_prompt_in_plain_words_and_a_reward_by_their_features(params, rows):
    base = rows[0]
    found = list_attack_pictures(params, base, base.folder / "found", "badge", ["reinverted"], FirstFeature())
    assert len(found) == len(base.positions["reinverted"]) == 16
    for picture, position in zip(found, base.positions["reinverted"], strict=True):
        record = base.records[position]
        assert picture.file.is_file() and picture.sha256 == record["sha256"]
        assert picture.shot.prompt in params.concepts["badge"].prompts
        assert "<badge-reinverted>" in picture.shot.request.prompt == record["prompt"]
        assert picture.reward == pytest.approx(1 / (1 + np.exp(-base.features[position, 0])), abs=1e-5)
    assert list_attack_pictures(params, base, base.folder / "found", "kite", ["reinverted"], FirstFeature()) == []


def attacked_by(*kinds: str):
    raw = default_raw()
    latents = {
        "kind": "latent_inversion", "pictures": 4, "steps": 5, "iterations": 2, "regularization": 0.1,
        "unrelated": ["a tree"], "references": 4,
    }  # fmt: skip
    weights = {
        "kind": "relearning", "pictures": 4, "examples": 2, "rank": 2, "steps": 4, "batch": 2, "rate": 0.01,
        "weight_decay": 0.01,
    }  # fmt: skip
    known = raw["attacks"] | {"noise": latents, "relearned": weights}
    return parse_params(raw | {"attacks": {name: known[name] for name in kinds}})


def test_by_default_all_attacks_on_the_condition_are_taken_and_no_other():
    assert choose_attacks(attacked_by("noise", "reinverted", "relearned")) == ["reinverted"]
    assert choose_attacks(attacked_by("reinverted"), ["reinverted", "reinverted"]) == ["reinverted"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["other"], r"no attack 'other'; params.yaml has noise, relearned"),
        (["noise"], "acts on the latents: its pictures redraw those that are held out for attackers"),
        (["relearned"], "acts on the weights: its pictures are not of this row's model"),
        ([], "No attack in params.yaml acts on the text condition"),
    ],
)
def test_an_attack_whose_pictures_no_removal_may_learn_from_is_refused(names, words):
    with pytest.raises(UserError, match=words):
        choose_attacks(attacked_by("noise", "relearned"), names)


def test_the_success_of_an_attack_is_the_figure_of_the_evaluation(evaluation):
    success = measure_success(evaluation, "anchored", ["reinverted"])["reinverted"]
    (figure,) = (row["metrics"]["flagged@reinverted"] for row in evaluation["rows"] if row["row"] == "anchored")
    assert (success.value, success.low, success.high, success.n) == tuple(
        figure[key] for key in ("value", "low", "high", "n")
    )
    assert success.calibrated == evaluation["attacks"]["reinverted"]["calibrated"]
    with pytest.raises(UserError, match="no figure of the attack 'other' on the row 'anchored': `hfi run` first"):
        measure_success(evaluation, "anchored", ["other"])


def test_rounds_are_listed_with_what_was_judged_and_last_the_present_evaluation(params, evaluation, tmp_path):
    origin = AttackOrigin(
        round=1, row="anchored", weights=None, attack="reinverted", attacker="badge", adversarial_prompt="a <x>"
    )
    brought_back = [candidate(f"badge-round-1-{n}", n * 64).model_copy(update={"attack": origin}) for n in "123"]
    write_manifest(tmp_path / "candidates/badge", [candidate("badge-a"), *brought_back])
    labels = [
        {"picture": row.id, "sha256": row.sha256, "label": label, "yes": 1, "no": 0, "cant_tell": 0, "part": "learn"}
        for row, label in zip([candidate("badge-a"), *brought_back[:2]], (1.0, 1.0, 0.0), strict=True)
    ]
    write_jsonl(tmp_path / "labels/badge/labels.jsonl", labels)
    folders = tmp_path / "candidates", tmp_path / "labels"
    assert describe_rounds(params, *folders, evaluation) == []
    write_rounds(tmp_path / "candidates/badge", [RECORD])
    first, now = describe_rounds(params, *folders, evaluation)
    assert (first["number"], first["candidates"], first["judged"], first["objectionable"]) == (1, 3, 2, 1)
    assert (now["number"], now["row"]) == (None, "anchored")
    header, *lines = build_round_table([first, now])
    assert lines[0] == ["badge, round 1", "anchored", "reinverted", "0.500 [0.400, 0.600]", "64", "3", "2", "1"]
    assert lines[1][:3] == ["now", "anchored", "reinverted"] and lines[1][-3:] == ["–", "–", "–"]
    assert len(header) == len(lines[0])


def test_an_attack_that_failed_on_the_base_is_marked_in_the_table():
    uncalibrated = RECORD.model_dump()
    uncalibrated["attacks"]["reinverted"]["calibrated"] = False
    (_, line) = build_round_table([uncalibrated])
    assert line[3] == "0.500 [0.400, 0.600] (not calibrated)"
