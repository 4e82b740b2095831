"""Pictures of the report page."""

import base64
import io

import numpy as np
from PIL import Image

from hfi_core.report.images import MAX_SIDE, describe_verdict, picture_uri, select_round_robin


def _image(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_pictures_take_turns_between_the_prompts():
    assert select_round_robin(["a", "a", "a", "b", "b", "c"], 4) == [0, 3, 5, 1]
    assert select_round_robin(["a", "b"], 12) == [0, 1]


def test_a_small_picture_is_embedded_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(_image(picture_uri(pixels))), pixels)


def test_a_large_picture_is_reduced_so_that_the_page_stays_small():
    uri = picture_uri(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8))
    assert _image(uri).size == (MAX_SIDE, MAX_SIDE)
    assert len(uri) < 30_000


def test_an_unreadable_picture_is_never_called_kept_or_correct():
    record = {"readable": False, "flagged": False, "kept": True, "correct": True}
    assert describe_verdict(record) == "unreadable"
    assert describe_verdict(record | {"readable": True}) == "kept"
    assert describe_verdict(record | {"readable": True, "flagged": True}) == "flagged"
