"""Pictures are PNG files, checked before they are decoded."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError
from hfi_core.io.images import load_image, save_image


def pixels(*size: int) -> np.ndarray:
    return numpy_generator("pixels", size).integers(0, 256, (*size, 3), dtype=np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@given(st.integers(1, 40), st.integers(1, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pixels_come_back_as_they_were(tmp_path, height, width):
    save_image(tmp_path / "a.png", pixels(height, width))
    assert np.array_equal(load_image(tmp_path / "a.png"), pixels(height, width))


def test_equal_pixels_are_equal_bytes(tmp_path):
    save_image(tmp_path / "a.png", pixels(9, 7))
    save_image(tmp_path / "b.png", pixels(9, 7))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "I;16"])
def test_png_of_every_mode_is_read_as_rgb(tmp_path, mode):
    Image.new(mode, (5, 4)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").shape == (4, 5, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable PNG"),
        (b"not a picture", "not a readable PNG"),
        (png(4, 4, b"\x00" * 52)[:-30], "not a readable PNG"),
        (png(4, 4), "not a readable PNG"),
        (png(2**31 - 1, 2**31 - 1), "100000|not a readable PNG|the maximum is"),
        (png(5000, 5000), "the maximum is 16777216"),
        (png(20_000, 20_000), "the maximum is|not a readable PNG"),
        (png(0, 4), "not a readable PNG"),
        (b"GIF89a" + bytes(20), "not a readable PNG"),
        (png(4, 4, b"\x00" * 52).replace(b"IDAT", b"IDAX"), "not a readable PNG"),
    ],
    ids=[
        "empty", "text", "torn", "no rows", "absurd", "large", "very large", "no width", "another format", "bad chunk",
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_usable_png_is_a_user_error(tmp_path, content, words):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        load_image(tmp_path / "a.png")
    assert "a.png" in str(caught.value)


def test_a_jpeg_by_the_name_of_a_png_is_a_user_error(tmp_path):
    Image.fromarray(pixels(8, 8)).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(UserError, match="not a readable PNG"):
        load_image(tmp_path / "a.png")


def test_a_missing_picture_and_a_folder_are_user_errors(tmp_path):
    for path in (tmp_path / "nothing.png", tmp_path):
        with pytest.raises(UserError, match="not a readable PNG"):
            load_image(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_a_png_with_any_damage_is_read_or_is_a_user_error(tmp_path, data):
    Image.fromarray(pixels(6, 6)).save(tmp_path / "whole.png", compress_level=data.draw(st.sampled_from([0, 9])))
    content = bytearray((tmp_path / "whole.png").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a.png").write_bytes(content[: data.draw(st.integers(8, len(content)))])
    try:
        assert load_image(tmp_path / "a.png").dtype == np.uint8
    except UserError as error:
        assert "a.png" in str(error)
