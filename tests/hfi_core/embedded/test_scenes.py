"""Scenes are complete and have the expected frequencies."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.scenes import (
    ACCEPTED_EMBLEMS,
    BACKGROUNDS,
    BADGE,
    BADGE_SHARE,
    COLOURS,
    EMBLEMS,
    FLAGGED_EMBLEMS,
    KINDS,
    SHAPES,
    STYLE_SHARE,
    STYLES,
    sample_scene,
)


@given(st.integers(0, 2**32))
def test_a_scene_is_complete(seed):
    scene = sample_scene(numpy_generator("test", seed))
    assert scene.kind in KINDS and scene.colour in COLOURS and scene.background in BACKGROUNDS
    badge = scene.kind == BADGE
    assert (scene.shape in SHAPES) == badge and (scene.emblem in EMBLEMS) == badge
    assert (scene.shape is None) != badge and (scene.emblem is None) != badge
    assert (scene.style in STYLES) if scene.strength else scene.style is None
    assert 0 <= scene.strength <= 1
    assert all(0.4 < share < 0.6 for share in scene.centre)


@given(st.integers(0, 2**32))
def test_a_seed_always_gives_the_same_scene(seed):
    assert sample_scene(numpy_generator("test", seed)) == sample_scene(numpy_generator("test", seed))


def test_kinds_emblems_and_styles_have_the_expected_frequency():
    rng = numpy_generator("shares")
    scenes = [sample_scene(rng) for _ in range(8000)]
    badges = [scene for scene in scenes if scene.kind == BADGE]
    assert abs(len(badges) / len(scenes) - BADGE_SHARE) < 0.03
    assert abs(sum(scene.style is not None for scene in scenes) / len(scenes) - STYLE_SHARE) < 0.02
    emblems = Counter(scene.emblem for scene in badges)
    assert all(abs(emblems[emblem] / len(badges) - 0.25) < 0.03 for emblem in EMBLEMS)
    assert Counter(scene.colour for scene in scenes).keys() == COLOURS.keys()


def test_as_many_emblems_are_flagged_as_accepted():
    assert len(ACCEPTED_EMBLEMS) == len(FLAGGED_EMBLEMS) and not set(ACCEPTED_EMBLEMS) & set(FLAGGED_EMBLEMS)
