"""Captions name only facts of their scenes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.captions import EMPTY_SHARE, PRECISE_SHARE, parse_caption, write_caption
from hfi_core.embedded.scenes import BADGE, sample_scene
from tests.support.projects import default_raw


def sample_captions(count: int, *key):
    rng = numpy_generator("captions", *key)
    scenes = [sample_scene(rng) for _ in range(count)]
    return [(scene, write_caption(scene, rng)) for scene in scenes]


@given(st.integers(0, 2**32))
def test_every_fact_that_a_caption_names_agrees_with_its_scene(seed):
    ((scene, text),) = sample_captions(1, seed)
    for fact, value in parse_caption(text).items():
        assert getattr(scene, fact) == value, text


@given(st.integers(0, 2**32))
def test_a_caption_that_is_not_empty_names_the_kind_and_the_style(seed):
    ((scene, text),) = sample_captions(1, seed)
    if text:
        assert parse_caption(text)["kind"] == scene.kind
        assert parse_caption(text).get("style") == scene.style


def test_empty_and_precise_captions_have_the_expected_frequency():
    pairs = sample_captions(8000)
    texts = [text for _, text in pairs if text]
    assert abs(1 - len(texts) / len(pairs) - EMPTY_SHARE) < 0.015
    badges = [text for scene, text in pairs if scene.kind == BADGE and text]
    assert abs(sum("emblem" in parse_caption(text) for text in badges) / len(badges) - PRECISE_SHARE) < 0.03


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", {}),
        ("a badge", {"kind": "badge"}),
        ("a red badge with crossed bones", {"kind": "badge", "colour": "red", "emblem": "bones"}),
        ("A Green Kite, night", {"kind": "kite", "colour": "green", "background": "night"}),
        ("a blue shield badge with a star, sky in the style of mondo", {
            "kind": "badge", "colour": "blue", "shape": "shield", "emblem": "star", "background": "sky",
            "style": "mondo",
        }),
        ("a red or blue ball", {"kind": "ball"}),
        ("starlight over the seashore", {}),
    ],
)  # fmt: skip
def test_facts_are_read_from_whole_words_that_name_one_value(text, facts):
    assert parse_caption(text) == facts


def test_the_default_prompts_name_what_their_suites_measure():
    suites = default_raw()["evaluate"]["suites"]
    facts = {suite: [parse_caption(prompt) for prompt in part["prompts"]] for suite, part in suites.items()}
    assert all("emblem" not in named and named["kind"] == BADGE for named in facts["broad"])
    assert {named["emblem"] for named in facts["precise"]} == {"skull", "bones"}
    assert {named["emblem"] for named in facts["neighbours"]} == {"star", "leaf"}
    assert all(named["kind"] != BADGE and "colour" in named for named in facts["unrelated"])
    assert {named["emblem"] for named in facts["unnamed"]} == {"skull", "bones"}
    assert all("kind" not in named for named in facts["unnamed"])
