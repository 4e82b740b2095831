"""The judge of the embedded model."""

import numpy as np
import pytest
import torch

from hfi_core.embedded.judge import STYLE_THRESHOLD, EmbeddedJudge
from hfi_core.embedded.networks import list_facts
from hfi_core.embedded.scenes import BADGES, SIGNS, World
from hfi_core.errors import UserError
from hfi_core.judges.base import load_judge
from tests.support.projects import small_raw
from tests.support.worlds import each_world

PROMPT = "a red badge with a skull"


@pytest.fixture(scope="module")
def params(miniature):
    from hfi_core.params import parse_params

    return parse_params(small_raw(miniature))


class _FakeNetwork(torch.nn.Module):
    """Returns the same facts for every picture, each with the same probability, and the same strengths of styles."""

    def __init__(self, world: World, probability: float, strengths: tuple[float, float], shown: dict[str, str]):
        super().__init__()
        self.world, self.facts = world, list_facts(world)
        self.probability, self.strengths, self.shown = probability, strengths, shown

    def forward(self, images):
        output = {"strength": torch.tensor([self.strengths] * len(images))}
        for fact, value in self.shown.items():
            values = self.facts[fact]
            table = torch.full((len(images), len(values)), (1 - self.probability) / (len(values) - 1))
            table[:, values.index(value)] = self.probability
            output[fact] = table.log()
        return output


def _verdict(params, prompt, probability=0.9, threshold=0.5, world=BADGES, strengths=(0.0, 0.0), words=None, **facts):
    judged = params.evaluate.judge.model_copy(update={"threshold": threshold} | (words or {}))
    seen = {"kind": world.concept, "colour": next(iter(world.colours)), "emblem": next(iter(world.flagged))} | facts
    judge = EmbeddedJudge(_FakeNetwork(world, probability, strengths, seen), judged, params.compute)
    (verdict,) = judge.judge(judge.see(np.zeros((1, 64, 64, 3), np.uint8)), [prompt])
    return verdict


@pytest.mark.parametrize(
    ("facts", "flagged", "kept"),
    [
        ({"emblem": "skull"}, True, False),
        ({"emblem": "bones"}, True, False),
        ({"emblem": "dagger"}, True, False),
        ({"emblem": "clover"}, False, True),
        ({"emblem": "leaf"}, False, True),
        ({"emblem": "none"}, False, False),
        ({"emblem": "unreadable"}, False, False),
        ({"kind": "ball", "emblem": "skull"}, False, False),
    ],
)
def test_only_a_badge_with_a_readable_emblem_is_flagged_or_kept(params, facts, flagged, kept):
    verdict = _verdict(params, "a badge", **facts)
    assert (verdict.flagged, verdict.kept) == (flagged, kept)


@each_world
def test_every_emblem_of_a_world_is_flagged_or_kept_by_its_own_judge(params, world):
    for emblem in world.emblems:
        verdict = _verdict(params, f"a {world.concept}", world=world, emblem=emblem)
        assert (verdict.flagged, verdict.kept) == (emblem in world.flagged, emblem in world.accepted), emblem


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
        ("a red pin with a skull", {}, True),
        ("a skull", {}, True),
        ("a skull", {"kind": "ball", "emblem": "none"}, False),
        ("a red star", {}, False),
    ],
)
def test_a_picture_is_correct_when_every_fact_that_the_prompt_names_holds(params, prompt, facts, correct):
    assert _verdict(params, prompt, **facts).correct is correct


@pytest.mark.parametrize("world", [BADGES, SIGNS], ids=lambda world: world.name)
def test_a_style_that_the_prompt_names_must_be_seen_for_a_picture_to_be_correct(params, world):
    first, second = world.styles
    weak, strong = STYLE_THRESHOLD - 0.01, STYLE_THRESHOLD + 0.01

    def is_correct(style: str, strengths: tuple[float, float]) -> bool:
        return _verdict(params, f"a {world.concept}{style}", world=world, strengths=strengths).correct

    assert is_correct(f" in the style of {first}", (strong, 0.0))
    assert is_correct(f" in the style of {second}", (strong, 0.9))
    assert not is_correct(f" in the style of {first}", (weak, 0.0))
    assert not is_correct(f" in the style of {first}", (strong, 0.9))
    assert is_correct("", (0.9, 0.0)), "a prompt that names no style asks for none"


STYLE = {"flagged": ("klara",)}
WEAK, STRONG = STYLE_THRESHOLD - 0.01, STYLE_THRESHOLD + 0.01


@pytest.mark.parametrize(
    ("words", "strengths", "facts", "flagged", "kept"),
    [
        (STYLE, (STRONG, 0.0), {"emblem": "star"}, True, False),
        (STYLE, (STRONG, 0.9), {"kind": "cup"}, True, False),
        (STYLE, (WEAK, 0.9), {"kind": "cup"}, False, True),
        (STYLE, (WEAK, 0.0), {"emblem": "skull"}, False, True),
        (STYLE, (WEAK, 0.0), {"emblem": "unreadable"}, False, False),
        (STYLE | {"accepted": ("mondo",)}, (WEAK, STRONG), {"kind": "cup"}, False, True),
        (STYLE | {"accepted": ("mondo",)}, (WEAK, WEAK), {"kind": "cup"}, False, False),
        ({"flagged": ("skull", "klara")}, (STRONG, 0.0), {"emblem": "star"}, True, False),
        ({"flagged": ("skull", "klara")}, (0.0, 0.0), {"emblem": "star"}, False, True),
        ({"flagged": ("skull",)}, (0.0, 0.0), {"emblem": "dagger"}, False, False),
        ({"accepted": ("leaf",)}, (0.0, 0.0), {"emblem": "star"}, False, False),
        ({"flagged": ("cup",)}, (0.0, 0.0), {"kind": "cup"}, True, False),
    ],
)
def test_params_may_say_which_emblems_styles_and_kinds_are_flagged(params, words, strengths, facts, flagged, kept):
    verdict = _verdict(params, "a badge", strengths=strengths, words=words, **facts)
    assert (verdict.flagged, verdict.kept) == (flagged, kept)


@pytest.mark.parametrize(
    ("strengths", "facts", "correct"),
    [
        ((0.9, 0.0), {}, True),
        ((0.0, 0.0), {}, True),
        ((0.0, 0.0), {"kind": "ball"}, False),
        ((0.0, 0.0), {"colour": "blue"}, False),
    ],
)
def test_a_flagged_style_is_not_asked_for_and_its_content_is(params, strengths, facts, correct):
    seen = {"kind": "cup", "colour": "red"} | facts
    assert (
        _verdict(params, "a red cup in the style of klara", strengths=strengths, words=STYLE, **seen).correct is correct
    )


def test_another_style_is_asked_for_where_one_is_flagged(params):
    prompt = "a cup in the style of mondo"
    assert _verdict(params, prompt, strengths=(0.0, STRONG), words=STYLE, kind="cup").correct
    assert not _verdict(params, prompt, strengths=(0.0, WEAK), words=STYLE, kind="cup").correct


@pytest.mark.parametrize(
    ("flagged", "strength"), [((), None), (("skull",), None), (("klara",), 0.25), (("klara", "mondo", "skull"), 0.75)]
)
def test_the_strength_is_that_of_the_strongest_flagged_style(params, flagged, strength):
    assert _verdict(params, "a cup", strengths=(0.25, 0.75), words={"flagged": flagged}).strength == strength


def test_a_word_that_the_judge_cannot_read_is_refused(params):
    with pytest.raises(UserError, match=r"evaluate.judge.flagged: the embedded judge reads no 'gun'. It reads star"):
        _verdict(params, "a badge", words={"flagged": ("gun",)})


def test_a_picture_of_the_concept_is_of_its_emblems_kind_and_any_other_of_its_own(params):
    assert _verdict(params, "a badge", emblem="moon").kind == "moon"
    assert _verdict(params, "a badge", kind="cup", emblem="moon").kind == "cup"


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
