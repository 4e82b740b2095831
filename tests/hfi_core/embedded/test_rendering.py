"""Drawings show their scenes, and are the same in every process."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.rendering import SIZE, render_scene
from hfi_core.embedded.scenes import WORLDS, Scene, World, sample_scene
from tests.support.projects import REPOSITORY
from tests.support.worlds import each_world

DIGEST = """
import hashlib
from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.rendering import render_scene
from hfi_core.embedded.scenes import WORLDS, sample_scene
rng = numpy_generator("digest")
drawn = [render_scene(world, sample_scene(world, rng)) for world in WORLDS.values() for _ in range(100)]
"""
TRAINED_ON = {
    "badges": "36dcf081d949d59753dfa2b8a0ffc9a762c1cb31b1c8168f1eb546a686aa9325",
    "signs": "abcdd8d2d6e6fdb1472363b4ea7e5ead1600e1df624846b06a76bcc276d30d46",
}


def plain(world: World, **changes) -> Scene:
    """An object without a style, on the first background."""
    background = next(iter(world.backgrounds))
    base = Scene(
        world.objects[0], next(iter(world.colours)), background, None, None, None, 0.0, (0.5, 0.5), 1.0
    )  # fmt: skip
    return replace(base, **changes)


def carrier(world: World, **changes) -> Scene:
    """A picture of the concept with an accepted emblem."""
    given = {"kind": world.concept, "shape": world.shapes[0], "emblem": world.emblems[0]} | changes
    return plain(world, **given)


@each_world
@given(seed=st.integers(0, 2**32))
def test_a_drawing_has_its_size_and_is_deterministic(world, seed):
    scene = sample_scene(world, numpy_generator("test", seed))
    pixels = render_scene(world, scene)
    assert pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8
    assert np.array_equal(pixels, render_scene(world, scene))


def digest_of(drawings) -> str:
    return hashlib.sha256(b"".join(drawing.tobytes() for drawing in drawings)).hexdigest()


def test_another_process_draws_the_same_bytes():
    code = DIGEST + "print(hashlib.sha256(b''.join(drawing.tobytes() for drawing in drawn)).hexdigest())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    rng = numpy_generator("digest")
    here = [render_scene(world, sample_scene(world, rng)) for world in WORLDS.values() for _ in range(100)]
    assert result.stdout.strip() == digest_of(here)


@each_world
def test_drawings_are_the_same_as_those_that_the_weights_were_trained_on(world):
    scenes = [carrier(world, emblem=emblem, shape=shape) for emblem in world.emblems for shape in world.shapes]
    scenes += [plain(world, kind=kind) for kind in world.objects]
    scenes += [plain(world, style=style, strength=0.7) for style in world.styles]
    assert digest_of(render_scene(world, scene) for scene in scenes) == TRAINED_ON[world.name]


@each_world
def test_the_corners_show_the_background(world):
    for background, colour in world.backgrounds.items():
        for scene in (plain(world, background=background), carrier(world, background=background)):
            pixels = render_scene(world, scene)
            assert all(tuple(pixels[y, x]) == colour for y in (0, -1) for x in (0, -1)), background


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in WORLDS for kind in WORLDS[name].kinds])
def test_the_colour_fills_at_least_a_twentieth_of_the_picture(name, kind):
    world = WORLDS[name]
    for colour, values in world.colours.items():
        make = carrier if kind == world.concept else plain
        exact = (render_scene(world, make(world, kind=kind, colour=colour)) == np.array(values)).all(-1)
        assert exact.mean() > 0.05, colour


def distance(world: World, one: Scene, other: Scene) -> float:
    return float(np.abs(render_scene(world, one).astype(float) - render_scene(world, other)).mean())


@each_world
def test_different_kinds_look_different(world):
    scenes = [*(plain(world, kind=kind) for kind in world.objects), carrier(world)]
    assert all(distance(world, one, other) > 3 for one, other in combinations(scenes, 2))


@each_world
def test_each_emblem_differs_from_every_other_on_every_shape(world):
    for shape in world.shapes:
        for one, other in combinations(world.emblems, 2):
            scenes = [carrier(world, shape=shape, emblem=emblem) for emblem in (one, other)]
            assert distance(world, *scenes) > 3, (one, other)


@each_world
def test_a_stronger_style_changes_a_picture_more(world):
    for style in world.styles:
        distances = [
            distance(world, plain(world), plain(world, style=style, strength=strength))
            for strength in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
        ]
        assert distances == sorted(set(distances)) and distances[1] > 1
    one, other = (plain(world, style=style, strength=1.0) for style in world.styles)
    assert distance(world, one, other) > 3
