"""The zero-shot judge from a CLIP folder."""

import numpy as np
import pytest
import torch

from hfi_core.judges.base import load_judge
from hfi_core.judges.clip import ClipJudge
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import JudgeParams, parse_params
from tests.support.projects import small_raw

_TEXTS = ["skull", "star", "tree", "a red star", "a blue tree"]


class _FakeClip:
    """Encodes a picture whose first pixel is i as the feature of text i. The scale is that of a trained CLIP."""

    logit_scale = 100.0

    def image_features(self, pictures, block):
        return torch.eye(len(_TEXTS))[torch.tensor(pictures[:, 0, 0, 0].astype(int))]

    def text_features(self, texts):
        return torch.eye(len(_TEXTS))[[_TEXTS.index(text) for text in texts]]


def _params(source="x", digest="sha256:" + "0" * 64, threshold=0.5):
    return JudgeParams(
        kind="clip", source=source, revision=None, digest=digest, flagged=("skull",), accepted=("star",),
        other=("tree",), threshold=threshold,
    )  # fmt: skip


@pytest.fixture(scope="module")
def compute(miniature):
    return parse_params(small_raw(miniature)).compute


def _judge(compute, first_pixels, prompts, threshold=0.5, rivals=()):
    pictures = np.zeros((len(first_pixels), 8, 8, 3), np.uint8)
    pictures[:, 0, 0, 0] = first_pixels
    judge = ClipJudge(_FakeClip(), _params(threshold=threshold), compute)
    return judge.judge(judge.see(pictures), prompts, rivals)


def test_texts_decide_which_pictures_are_flagged_and_kept(compute):
    skull, star, tree = _judge(compute, [0, 1, 2], ["a red star"] * 3)
    assert (skull.flagged, skull.kept, skull.readable) == (True, False, True)
    assert (star.flagged, star.kept, star.readable) == (False, True, True)
    assert (tree.flagged, tree.kept, tree.readable) == (False, False, True)


def test_a_picture_that_fits_no_group_of_texts_is_unreadable(compute):
    (verdict,) = _judge(compute, [3], ["a red star"])
    assert (verdict.flagged, verdict.kept, verdict.readable) == (False, False, False)


def test_a_picture_is_correct_when_its_own_prompt_fits_best_among_the_suites(compute):
    prompts = ["a red star", "a blue tree", "a blue tree"]
    assert [v.correct for v in _judge(compute, [3, 4, 3], prompts)] == [True, True, False]


def test_the_only_prompt_of_a_suite_competes_with_its_rivals_and_the_other_texts(compute):
    requested, rival, other = _judge(compute, [4, 3, 2], ["a blue tree"] * 3, rivals=["a red star"])
    assert (requested.correct, rival.correct, other.correct) == (True, False, False)


def test_any_clip_folder_is_a_judge_when_its_digest_is_the_pinned_one(miniature, compute):
    folder = miniature / "clip"
    judge = load_judge(_params(str(folder), digest_of_weights(folder), threshold=0.0), compute)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    verdicts = judge.judge(judge.see(pictures), ["a red badge", "a star", "a red badge", "a star", "a star"])
    assert len(verdicts) == 5
    assert all(v.flagged and not v.kept for v in verdicts)  # every probability reaches a threshold of 0
    assert sum(v.correct for v in verdicts) in range(1, 5)  # an untrained model has one favourite text
