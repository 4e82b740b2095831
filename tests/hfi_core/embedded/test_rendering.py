"""Drawings show their scenes, and are the same in every process."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.rendering import SIZE, render_scene
from hfi_core.embedded.scenes import (
    BACKGROUNDS,
    BADGE,
    COLOURS,
    EMBLEMS,
    KINDS,
    OBJECTS,
    SHAPES,
    STYLES,
    Scene,
    sample_scene,
)
from tests.support.projects import REPOSITORY

DIGEST = """
import hashlib
from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.rendering import render_scene
from hfi_core.embedded.scenes import sample_scene
rng = numpy_generator("digest")
scenes = [sample_scene(rng) for _ in range(200)]
"""


def plain(**changes) -> Scene:
    base = Scene("ball", "red", "sky", None, None, None, 0.0, (0.5, 0.5), 1.0)
    return replace(base, **changes)


def badge(**changes) -> Scene:
    return plain(**({"kind": BADGE, "shape": "disc", "emblem": "star"} | changes))


@given(st.integers(0, 2**32))
def test_a_drawing_has_its_size_and_is_deterministic(seed):
    scene = sample_scene(numpy_generator("test", seed))
    pixels = render_scene(scene)
    assert pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8
    assert np.array_equal(pixels, render_scene(scene))


def digest_of_drawings() -> str:
    rng = numpy_generator("digest")
    scenes = [sample_scene(rng) for _ in range(200)]
    return hashlib.sha256(b"".join(render_scene(scene).tobytes() for scene in scenes)).hexdigest()


def test_another_process_draws_the_same_bytes():
    code = DIGEST + "print(hashlib.sha256(b''.join(render_scene(scene).tobytes() for scene in scenes)).hexdigest())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert result.stdout.strip() == digest_of_drawings()


def test_drawings_are_the_same_as_those_that_the_weights_were_trained_on():
    scenes = [badge(emblem=emblem, shape=shape) for emblem in EMBLEMS for shape in SHAPES]
    scenes += [plain(kind=kind) for kind in OBJECTS]
    drawn = hashlib.sha256(b"".join(render_scene(scene).tobytes() for scene in scenes)).hexdigest()
    assert drawn == "ba42639611114af10dedb72aaa7700a30247ba046b6397022cb5af0ddf77e4f1"


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_corners_show_the_background(background):
    pixels = render_scene(plain(background=background))
    assert all(tuple(pixels[y, x]) == BACKGROUNDS[background] for y in (0, -1) for x in (0, -1))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_fills_at_least_a_twentieth_of_the_picture(kind, colour):
    scene = badge(colour=colour) if kind == BADGE else plain(kind=kind, colour=colour)
    exact = (render_scene(scene) == np.array(COLOURS[colour])).all(-1)
    assert exact.mean() > 0.05


def distance(one: Scene, other: Scene) -> float:
    return float(np.abs(render_scene(one).astype(float) - render_scene(other)).mean())


def test_different_scenes_look_different():
    kinds = [plain(kind=kind) for kind in OBJECTS] + [badge()]
    emblems = [badge(emblem=emblem) for emblem in EMBLEMS]
    for scenes in (kinds, emblems):
        for n, one in enumerate(scenes):
            assert all(distance(one, other) > 3 for other in scenes[n + 1 :])


@pytest.mark.parametrize("style", STYLES)
def test_a_stronger_style_changes_a_picture_more(style):
    distances = [distance(plain(), plain(style=style, strength=strength)) for strength in (0.15, 0.4, 0.7, 1.0)]
    assert distances == sorted(distances) and distances[0] > 1
