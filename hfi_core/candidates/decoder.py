"""Decode the bytes of an untrusted picture into an RGB PNG; a file that is not supported is rejected first."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from hfi_core.candidates.png_metadata import read_bit_depth, strip_metadata
from hfi_core.io.images import MAX_PIXELS

logging.getLogger("PIL").addHandler(logging.NullHandler())  # without a handler, its warnings go to the terminal
MAX_BYTES = 64 * 1024 * 1024
MIN_SIDE = 16
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""The decoders that a hostile file can reach. Each further one is more code that reads it."""

_PHONE_FORMAT = "MPO"
"""A JPEG with further pictures inside, such as a preview or a depth map. The first one is the photograph."""
_ORIENTATION = 0x0112
_DEEP_MODES = ("I", "F")
"""Modes with more than eight bits per channel, which Pillow would clip to the lowest values."""


class RejectedImage(Exception):
    """A file that is not a supported picture, and why."""


@dataclass(frozen=True)
class DecodedImage:
    """A picture as an RGB PNG."""

    png: bytes
    width: int
    height: int
    changed: tuple[str, ...]
    """What was done to the file, in order; empty if the PNG is the file's own bytes."""


def decode_image(data: bytes, size: int | None = None) -> DecodedImage:
    """Decode a file's bytes. With `size`, crop to the middle square and scale that to `size` x `size` pixels.

    Raises RejectedImage if the file is not a picture in a supported format, is incomplete, too large, too small or
    animated, or has more than eight bits per channel.
    """
    if len(data) > MAX_BYTES:
        raise RejectedImage(f"has more than {MAX_BYTES // 2**20} MiB")
    try:
        with _no_warnings(), Image.open(BytesIO(data), formats=FORMATS) as image:
            _check_header(image, data)
            image.load()
            return _as_rgb(image, data, size)
    except RejectedImage:
        raise
    except Image.DecompressionBombError as error:
        raise RejectedImage(f"has too many pixels; the maximum is {MAX_PIXELS}") from error
    except Image.UnidentifiedImageError as error:
        raise RejectedImage(f"is not a picture in a supported format ({', '.join(FORMATS)})") from error
    except Exception as error:  # on hostile bytes a decoder may raise any error
        raise RejectedImage(f"cannot be decoded: {type(error).__name__}") from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide Pillow's warnings about damaged metadata, which is removed anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_header(image: Image.Image, data: bytes) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise RejectedImage(f"has {width} x {height} pixels; the maximum is {MAX_PIXELS}")
    if min(width, height) < MIN_SIDE:
        raise RejectedImage(f"has {width} x {height} pixels; the minimum of each side is {MIN_SIDE}")
    if image.format != _PHONE_FORMAT and getattr(image, "n_frames", 1) > 1:
        raise RejectedImage("is an animation; export the frames that people are to judge")
    if image.mode.startswith(_DEEP_MODES) or read_bit_depth(data) > 8:
        raise RejectedImage("has more than eight bits per channel; save it with eight")


def _as_rgb(image: Image.Image, data: bytes, size: int | None) -> DecodedImage:
    changed = [] if image.format == "PNG" else [f"decoded from {image.format}"]
    if image.format == _PHONE_FORMAT:
        changed = ["decoded from MPO: its first picture"]
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
        changed.append("turned as its EXIF says")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        changed.append("laid on white")
    elif image.mode != "RGB":
        changed.append(f"converted from {image.mode}")
        image = image.convert("RGB")
    if size is not None and image.size != (size, size):
        changed.append(f"cropped to its middle and scaled to {size} x {size} from {image.width} x {image.height}")
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    if changed:
        stream = BytesIO()
        Image.fromarray(np.asarray(image)).save(
            stream, format="PNG"
        )  # pixels only: no metadata on location, camera or author
        data = stream.getvalue()
    elif (stripped := strip_metadata(data)) != data:
        changed.append("metadata removed")
        data = stripped
    return DecodedImage(data, *image.size, tuple(changed))
