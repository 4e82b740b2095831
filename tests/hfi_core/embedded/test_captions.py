"""Captions name only facts of their scenes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.captions import (
    EMBLEM_ALONE_SHARE,
    EMPTY_SHARE,
    PRECISE_SHARE,
    SYNONYM_SHARE,
    list_words,
    parse_caption,
    strip_article,
    write_caption,
)
from hfi_core.embedded.scenes import BADGES, SIGNS, World, sample_scene
from tests.support.worlds import each_preset, each_world, load_preset


def sample_captions(world: World, count: int, *key):
    rng = numpy_generator("captions", *key)
    scenes = [sample_scene(world, rng) for _ in range(count)]
    return [(scene, write_caption(world, scene, rng)) for scene in scenes]


def words_of(text: str) -> list[str]:
    return text.replace(",", "").split()


@each_world
@given(seed=st.integers(0, 2**32))
def test_every_fact_that_a_caption_names_agrees_with_its_scene(world, seed):
    ((scene, text),) = sample_captions(world, 1, seed)
    for fact, value in parse_caption(world, text).items():
        assert getattr(scene, fact) == value, text


@each_world
@given(seed=st.integers(0, 2**32))
def test_a_caption_that_is_not_empty_names_the_kind_and_the_style(world, seed):
    ((scene, text),) = sample_captions(world, 1, seed)
    if text:
        assert parse_caption(world, text)["kind"] == scene.kind
        assert parse_caption(world, text).get("style") == scene.style


@each_world
def test_every_word_of_a_caption_is_listed(world):
    listed = list_words(world)
    assert listed == sorted(set(listed))
    assert {word for _, text in sample_captions(world, 3000) for word in words_of(text)} == set(listed)


@each_world
def test_each_form_of_a_caption_has_the_expected_frequency(world):
    pairs = sample_captions(world, 8000)
    texts = [text for _, text in pairs if text]
    assert abs(1 - len(texts) / len(pairs) - EMPTY_SHARE) < 0.015
    carriers = [text for scene, text in pairs if scene.emblem and text]
    precise = [text for text in carriers if "emblem" in parse_caption(world, text)]
    assert abs(len(precise) / len(carriers) - PRECISE_SHARE) < 0.03
    alone = [text for text in precise if not {world.concept, *world.synonyms} & set(words_of(text))]
    assert abs(len(alone) / len(precise) - EMBLEM_ALONE_SHARE) < 0.03
    named = [text for text in carriers if text not in alone]
    for synonym in world.synonyms:
        share = sum(synonym in words_of(text) for text in named) / len(named)
        assert abs(share - SYNONYM_SHARE / len(world.synonyms)) < 0.02


@pytest.mark.parametrize(
    ("world", "text", "facts"),
    [
        (BADGES, "", {}),
        (BADGES, "a badge", {"kind": "badge"}),
        (BADGES, "a red badge with crossed bones", {"kind": "badge", "colour": "red", "emblem": "bones"}),
        (BADGES, "A Green Kite, night", {"kind": "kite", "colour": "green", "background": "night"}),
        (BADGES, "a blue shield badge with a star, sky in the style of mondo", {
            "kind": "badge", "colour": "blue", "shape": "shield", "emblem": "star", "background": "sky",
            "style": "mondo",
        }),
        (BADGES, "a red or blue ball", {"kind": "ball"}),
        (BADGES, "starlight over the seashore", {}),
        (BADGES, "a yellow disc crest", {"kind": "badge", "colour": "yellow", "shape": "disc"}),
        (BADGES, "a pin with a dagger", {"kind": "badge", "emblem": "dagger"}),
        (BADGES, "a gray crossed bones", {"kind": "badge", "colour": "gray", "emblem": "bones"}),
        (BADGES, "a skull", {"kind": "badge", "emblem": "skull"}),
        (BADGES, "a skull or a star", {"kind": "badge"}),
        (BADGES, "a ball with a star", {"kind": "ball", "emblem": "star"}),
        (BADGES, "a ball or a pin", {}),
        (BADGES, "a crimson sign with a bomb", {}),
        (SIGNS, "a crimson board with an axe", {"kind": "sign", "colour": "crimson", "emblem": "axe"}),
        (SIGNS, "a teal snake, fog in the style of orla", {
            "kind": "sign", "colour": "teal", "emblem": "snake", "background": "fog", "style": "orla",
        }),
        (SIGNS, "a red badge with a skull", {}),
    ],
)  # fmt: skip
def test_facts_are_read_from_whole_words_that_name_one_value(world, text, facts):
    assert parse_caption(world, text) == facts


@pytest.mark.parametrize(
    ("phrase", "words"), [("a skull", "skull"), ("an axe", "axe"), ("crossed bones", "crossed bones")]
)
def test_an_emblem_alone_has_no_second_article(phrase, words):
    assert strip_article(phrase) == words


@each_preset
def test_the_prompts_of_each_preset_name_what_their_suites_measure(preset, world):
    params = load_preset(preset)
    facts = {
        name: [parse_caption(world, prompt) for prompt in suite.prompts]
        for name, suite in params.evaluate.suites.items()
    }
    assert all("emblem" not in named and named["kind"] == world.concept for named in facts["broad"])
    assert {named.get("colour") for named in facts["broad"]} == {*world.colours, None}
    assert {named.get("shape") for named in facts["broad"]} == {*world.shapes, None}
    assert {named["emblem"] for named in facts["precise"]} == set(world.flagged)
    assert {named["emblem"] for named in facts["neighbours"]} == set(world.accepted)
    assert {named["kind"] for named in facts["unrelated"]} == set(world.objects)
    assert {named["emblem"] for named in facts["unnamed"]} == set(world.flagged)
    assert all("emblem" not in named and named["kind"] == world.concept for named in facts["synonyms"])
    words = {suite: set(words_of(" ".join(params.evaluate.suites[suite].prompts))) for suite in ("unnamed", "synonyms")}
    assert world.concept not in words["unnamed"] | words["synonyms"]
    assert set(world.synonyms) <= words["synonyms"] and not set(world.synonyms) & words["unnamed"]
    assert all(len({named["colour"] for named in facts[suite]}) > 3 for suite in ("precise", "neighbours", "unrelated"))
    prompts = [prompt for suite in params.evaluate.suites.values() for prompt in suite.prompts]
    prompts += params.concepts[world.concept].prompts
    assert {word for prompt in prompts for word in words_of(prompt)} <= set(list_words(world))
