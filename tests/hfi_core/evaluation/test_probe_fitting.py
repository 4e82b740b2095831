"""A probe learns from the answers that are kept for it, and is measured on pictures that it did not learn from."""

from dataclasses import replace

import numpy as np
import pytest

from hfi_core.errors import UserError
from hfi_core.evaluation.judging import Observers
from hfi_core.evaluation.probe_fitting import FOLDS, LEAST, cross_fit, fit_probe
from hfi_core.feedback.labels import Label, assign_split, write_labels
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Source, parse_params
from tests.support.judging import draw_candidates, is_flagged
from tests.support.projects import small_raw

COUNT = 90


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candidates")
    return folder, draw_candidates(folder, COUNT)


@pytest.fixture(scope="module")
def other_clip(miniature_signs) -> Source:
    """The CLIP of another world, which the reward model did not learn from."""
    folder = miniature_signs / "clip"
    return Source(source=str(folder), revision=None, digest=digest_of_weights(folder))


def params_with(miniature, **feedback):
    raw = small_raw(miniature)
    raw["feedback"] |= {"held_out_for_judge": 0.6} | feedback
    return parse_params(raw)


def labelled(candidates) -> list[Label]:
    """Labels by what was drawn."""
    return [
        Label(one.id, one.sha256, float(is_flagged(one)), 1, 1, 0, assign_split(one.id, 0.3, 0.6))
        for one in candidates[1]
    ]


def fit(params, candidates, folder, labels, clip):
    folder.mkdir(exist_ok=True)
    write_labels(folder, labels, None, {"simulated": True, "feedback_sha256": "0" * 64})
    return fit_probe(params, "badge", candidates[0], folder, clip)


def test_each_picture_is_answered_by_the_fold_that_did_not_learn_from_it():
    rng = np.random.default_rng(0)
    features, shares = rng.normal(size=(100, 8)), rng.choice([0.0, 1 / 3, 2 / 3, 1.0], 100)
    features[:, 0] += 4 * (shares > 0.5)
    weights, biases, scores = cross_fit(features, shares, 0)
    assert weights.shape == (FOLDS, 8) and biases.shape == (FOLDS,)
    by_fold = 1 / (1 + np.exp(-(features @ weights.T + biases)))
    assert all(np.abs(row - score).min() < 1e-5 for row, score in zip(by_fold, scores, strict=True))
    assert ((scores > 0.5) == (shares > 0.5)).mean() > 0.9


def test_answers_that_follow_from_nothing_are_not_found_again():
    rng = np.random.default_rng(0)
    features, shares = rng.normal(size=(200, 64)), rng.choice([0.0, 1.0], 200)
    weights, biases, scores = cross_fit(features, shares, 0)
    known = ((features @ weights.T + biases).mean(1) > 0) == (shares > 0.5)
    assert abs(((scores > 0.5) == (shares > 0.5)).mean() - 0.5) < 0.12
    assert known.mean() > ((scores > 0.5) == (shares > 0.5)).mean()


def test_it_learns_from_the_part_of_the_judge_alone(miniature, candidates, other_clip, tmp_path):
    params, labels = params_with(miniature), labelled(candidates)
    first, figures = fit(params, candidates, tmp_path / "first", labels, other_clip)
    reversed_elsewhere = [one if one.part == "judge" else replace(one, label=1 - one.label) for one in labels]
    second, _ = fit(params, candidates, tmp_path / "second", reversed_elsewhere, other_clip)
    first.save(tmp_path / "a"), second.save(tmp_path / "b")
    assert digest_of_weights(tmp_path / "a") == digest_of_weights(tmp_path / "b")
    kept = [one for one in labels if one.part == "judge"]
    assert first.card["pictures"] == len(kept) == figures["accuracy"].n
    assert first.card["objectionable"] == sum(one.label for one in kept)
    assert first.card["simulated"] and first.clip == other_clip
    assert set(first.card["figures"]) == {"auc", "accuracy", "calibration_error"}


def test_ties_are_left_out_and_too_few_pictures_refused(miniature, candidates, other_clip, tmp_path):
    params, labels = params_with(miniature), labelled(candidates)
    tied = [replace(one, label=0.5) if k % 4 == 0 else one for k, one in enumerate(labels)]
    probe, _ = fit(params, candidates, tmp_path / "tied", tied, other_clip)
    assert probe.card["pictures"] == sum(one.part == "judge" and one.label != 0.5 for one in tied)
    accepted = [replace(one, label=0.0) for one in labels]
    with pytest.raises(UserError, match=f"a probe needs {LEAST} objectionable and {LEAST} accepted ones"):
        fit(params, candidates, tmp_path / "accepted", accepted, other_clip)
    with pytest.raises(UserError, match="(?s)keeps 0 pictures of badge for a judge.*held_out_for_judge"):
        fit(params, candidates, tmp_path / "none", [replace(one, part="learn") for one in labels], other_clip)


def test_the_clip_of_the_reward_model_is_refused(miniature, candidates, other_clip, tmp_path):
    params = params_with(miniature)
    with pytest.raises(UserError, match="which the reward model learned from"):
        fit(params, candidates, tmp_path / "labels", labelled(candidates), params.clip)
    probe, _ = fit(params, candidates, tmp_path / "labels", labelled(candidates), other_clip)
    probe.save(tmp_path / "probe")
    raw = small_raw(miniature)
    raw["evaluate"]["judge"] |= {
        "kind": "probe", "source": str(tmp_path / "probe"), "digest": digest_of_weights(tmp_path / "probe"),
        "flagged": ["a skull"], "accepted": ["a star"],
    }  # fmt: skip
    assert Observers.load(parse_params(raw)).judge_of("badge").probe.clip == other_clip
    raw["clip"] = other_clip.model_dump(mode="json")
    with pytest.raises(UserError, match="which the reward model learned from"):
        Observers.load(parse_params(raw))


def test_a_ranked_concept_has_no_probe(miniature, candidates, other_clip, tmp_path):
    raw = small_raw(miniature)
    raw["concepts"]["badge"]["feedback"] = "ranking"
    with pytest.raises(UserError, match="badge is ranked"):
        fit(parse_params(raw), candidates, tmp_path / "labels", labelled(candidates), other_clip)


def test_all_pictures_held_out_leave_nothing_to_learn_from(miniature):
    with pytest.raises(UserError, match="together hold out every picture"):
        params_with(miniature, held_out_for_attacks=0.5, held_out_for_judge=0.5)
