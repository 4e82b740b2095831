"""Worlds are told apart by their words, and scenes are complete and have the expected frequencies."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.scenes import BADGES, CARRIER_SHARE, FLAGGED_SHARE, SIGNS, STYLE_SHARE, WORLDS, sample_scene
from tests.support.worlds import each_world


@each_world
@given(seed=st.integers(0, 2**32))
def test_a_scene_is_complete(world, seed):
    scene = sample_scene(world, numpy_generator("test", seed))
    assert scene.kind in world.kinds and scene.colour in world.colours and scene.background in world.backgrounds
    carrier = scene.kind == world.concept
    assert (scene.shape in world.shapes) == carrier and (scene.emblem in world.emblems) == carrier
    assert (scene.shape is None) != carrier and (scene.emblem is None) != carrier
    assert (scene.style in world.styles) if scene.strength else scene.style is None
    assert 0 <= scene.strength <= 1
    assert all(0.4 < share < 0.6 for share in scene.centre)


@each_world
@given(seed=st.integers(0, 2**32))
def test_a_seed_always_gives_the_same_scene(world, seed):
    assert sample_scene(world, numpy_generator("test", seed)) == sample_scene(world, numpy_generator("test", seed))


@each_world
def test_kinds_emblems_and_styles_have_the_expected_frequency(world):
    rng = numpy_generator("shares")
    scenes = [sample_scene(world, rng) for _ in range(8000)]
    carriers = [scene for scene in scenes if scene.kind == world.concept]
    assert abs(len(carriers) / len(scenes) - CARRIER_SHARE) < 0.03
    styles = Counter(scene.style for scene in scenes if scene.style)
    assert all(abs(styles[style] / len(scenes) - STYLE_SHARE / len(world.styles)) < 0.02 for style in world.styles)
    emblems = Counter(scene.emblem for scene in carriers)
    for names, share in ((world.flagged, FLAGGED_SHARE), (world.accepted, 1 - FLAGGED_SHARE)):
        assert all(abs(emblems[emblem] / len(carriers) - share / len(names)) < 0.03 for emblem in names)
    assert Counter(scene.colour for scene in scenes).keys() == world.colours.keys()


@each_world
def test_emblems_enough_are_accepted_and_flagged_to_tell_a_removal_from_a_collapse(world):
    assert (len(world.accepted), len(world.flagged)) == (6, 3)
    assert not world.accepted.keys() & world.flagged.keys()
    assert all(emblem in phrase.split() for emblem, phrase in world.phrases.items())


@each_world
def test_no_word_of_a_world_has_two_meanings(world):
    words = [
        *world.kinds, *world.synonyms, *world.colours, *world.backgrounds, *world.shapes, *world.emblems,
        *world.styles,
    ]  # fmt: skip
    assert len(set(words)) == len(words)


def test_the_worlds_have_no_word_in_common():
    one, other = (
        {*w.kinds, *w.synonyms, *w.colours, *w.backgrounds, *w.shapes, *w.emblems, *w.styles} for w in (BADGES, SIGNS)
    )
    assert not one & other
    assert {"badges": BADGES, "signs": SIGNS} == WORLDS
