"""The judge of the embedded model."""

import numpy as np
import pytest
import torch

from hfi_core.embedded.judge import EmbeddedJudge
from hfi_core.embedded.networks import FACTS
from hfi_core.errors import UserError
from hfi_core.judges.base import load_judge
from tests.support.projects import small_raw

PROMPT = "a red badge with a skull"


@pytest.fixture(scope="module")
def params(miniature):
    from hfi_core.params import parse_params

    return parse_params(small_raw(miniature))


class _FakeNetwork(torch.nn.Module):
    """Returns the same facts for every picture, each with the same probability."""

    def __init__(self, probability, **facts):
        super().__init__()
        self.probability, self.facts = probability, facts

    def forward(self, images):
        output = {}
        for fact, value in self.facts.items():
            rest = (1 - self.probability) / (len(FACTS[fact]) - 1)
            table = torch.full((len(images), len(FACTS[fact])), rest)
            table[:, FACTS[fact].index(value)] = self.probability
            output[fact] = table.log()
        return output


def _verdict(params, prompt, probability=0.9, threshold=0.5, words=None, **facts):
    judged = params.evaluate.judge.model_copy(update={"threshold": threshold} | (words or {}))
    seen = {"kind": "badge", "colour": "red", "emblem": "skull"} | facts
    judge = EmbeddedJudge(_FakeNetwork(probability, **seen), judged, params.compute)
    (verdict,) = judge.judge(judge.see(np.zeros((1, 64, 64, 3), np.uint8)), [prompt])
    return verdict


@pytest.mark.parametrize(
    ("facts", "flagged", "kept"),
    [
        ({"emblem": "skull"}, True, False),
        ({"emblem": "bones"}, True, False),
        ({"emblem": "leaf"}, False, True),
        ({"emblem": "none"}, False, False),
        ({"emblem": "unreadable"}, False, False),
        ({"kind": "ball", "emblem": "skull"}, False, False),
    ],
)
def test_only_a_badge_with_a_readable_emblem_is_flagged_or_kept(params, facts, flagged, kept):
    verdict = _verdict(params, "a badge", **facts)
    assert (verdict.flagged, verdict.kept) == (flagged, kept)


@pytest.mark.parametrize(
    ("prompt", "facts", "correct"),
    [
        (PROMPT, {}, True),
        (PROMPT, {"colour": "blue"}, False),
        (PROMPT, {"emblem": "star"}, False),
        ("a shield badge", {"colour": "blue"}, True),
        ("a red ball", {"kind": "ball", "emblem": "none"}, True),
        ("a red ball", {"kind": "cup", "emblem": "none"}, False),
        ("a red badge with crossed bones", {"emblem": "bones"}, True),
    ],
)
def test_a_picture_is_correct_when_every_fact_that_the_prompt_names_holds(params, prompt, facts, correct):
    assert _verdict(params, prompt, **facts).correct is correct


@pytest.mark.parametrize(
    ("words", "facts", "flagged", "kept"),
    [
        ({"flagged": ("skull",)}, {"emblem": "bones"}, False, False),
        ({"flagged": ("skull",)}, {"emblem": "star"}, False, True),
        ({"accepted": ("leaf",)}, {"emblem": "star"}, False, False),
        ({"flagged": ("cup",)}, {"kind": "cup"}, True, False),
        ({"flagged": ("cup",)}, {"emblem": "unreadable"}, False, False),
    ],
)
def test_params_may_say_which_emblems_and_kinds_are_flagged(params, words, facts, flagged, kept):
    verdict = _verdict(params, "a badge", words=words, **facts)
    assert (verdict.flagged, verdict.kept) == (flagged, kept)


def test_a_word_that_the_judge_cannot_read_is_refused(params):
    with pytest.raises(UserError, match=r"evaluate.judge.flagged: the embedded judge reads no 'gun'. It reads star"):
        _verdict(params, "a badge", words={"flagged": ("gun",)})


def test_a_picture_of_the_concept_is_of_its_emblems_kind_and_any_other_of_its_own(params):
    assert _verdict(params, "a badge", emblem="leaf").kind == "leaf"
    assert _verdict(params, "a badge", kind="cup", emblem="leaf").kind == "cup"


def test_facts_below_the_threshold_are_unreadable(params):
    unsure = _verdict(params, PROMPT, probability=0.6, threshold=0.7)
    assert not any([unsure.flagged, unsure.kept, unsure.correct, unsure.readable])
    assert _verdict(params, PROMPT, probability=0.8, threshold=0.7).flagged


def test_an_object_needs_no_emblem_to_be_readable_but_a_badge_does(params):
    assert _verdict(params, "a cup", kind="cup", emblem="unreadable").readable
    assert not _verdict(params, "a badge", emblem="unreadable").readable


def test_verdicts_do_not_depend_on_which_pictures_are_judged_together(params):
    judge = load_judge(params.evaluate.judge, params.compute)
    pictures = np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), dtype=np.uint8)
    prompts = [PROMPT] * 11
    together = judge.judge(judge.see(pictures), prompts)
    assert together == [v for i in range(11) for v in judge.judge(judge.see(pictures[i : i + 1]), prompts[:1])]


def test_weights_that_do_not_match_the_pinned_digest_are_rejected(params):
    pinned = params.evaluate.judge.model_copy(update={"digest": "sha256:" + "0" * 64})
    with pytest.raises(UserError, match="not the ones that params.yaml pins"):
        load_judge(pinned, params.compute)


def test_pictures_of_another_size_are_rejected_with_a_fix(params):
    judge = load_judge(params.evaluate.judge, params.compute)
    with pytest.raises(UserError, match="set evaluate.judge.kind to `clip` or `classifier`"):
        judge.see(np.zeros((1, 32, 32, 3), np.uint8))
