"""A picture from anywhere, as bytes, becomes an RGB PNG; what is no picture for us is refused before it is decoded."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from hfi_core.io.images import MOST_PIXELS

MOST_BYTES = 64 * 1024 * 1024
LEAST_SIDE = 16
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""Decoders that a hostile file may reach; each one more is code that reads it."""

_ORIENTATION = 0x0112
_DEEP = ("I", "F")
"""Modes with more than eight bits a channel, of which Pillow would keep only the lowest values."""


class RejectedImage(Exception):
    """No picture for us, and why."""


@dataclass(frozen=True)
class DecodedImage:
    """An RGB PNG."""

    png: bytes
    width: int
    height: int
    changed: tuple[str, ...]
    """What was done to the file, in order; empty where its own bytes are kept."""


def decode_image(data: bytes, size: int | None = None) -> DecodedImage:
    """Read a file's bytes; `size` crops to the middle square and scales it.

    Raises Refused for what is no picture, torn, too large or too small, moving, or of more than eight bits a channel.
    """
    if len(data) > MOST_BYTES:
        raise RejectedImage(f"has more than {MOST_BYTES // 2**20} MiB")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check_header(image)
            image.load()
            return _as_rgb(image, data, size)
    except RejectedImage:
        raise
    except Image.DecompressionBombError as error:
        raise RejectedImage(f"has too many pixels; at most {MOST_PIXELS} are read") from error
    except Image.UnidentifiedImageError as error:
        raise RejectedImage(f"is no picture in a format that is read ({', '.join(FORMATS)})") from error
    except Exception as error:  # a decoder on hostile bytes raises whatever it likes
        raise RejectedImage(f"cannot be decoded: {type(error).__name__}") from error


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise RejectedImage(f"has {width} x {height} pixels; at most {MOST_PIXELS} are read")
    if min(width, height) < LEAST_SIDE:
        raise RejectedImage(f"has {width} x {height} pixels; each side needs {LEAST_SIDE}")
    if getattr(image, "n_frames", 1) > 1:
        raise RejectedImage("is an animation; export the frames that people are to judge")
    if image.mode.startswith(_DEEP):
        raise RejectedImage("has more than eight bits a channel; save it with eight")


def _as_rgb(image: Image.Image, data: bytes, size: int | None) -> DecodedImage:
    changed = [] if image.format == "PNG" else [f"decoded from {image.format}"]
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
        Image.fromarray(np.asarray(image)).save(stream, format="PNG")  # pixels only: no place, camera or author
        data = stream.getvalue()
    return DecodedImage(data, *image.size, tuple(changed))
