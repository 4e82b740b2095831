"""Read and write PNG pictures; a picture's size is checked before it is decoded."""

from pathlib import Path

import numpy as np
from PIL import Image

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file

MAX_PIXELS = 4096 * 4096


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write pixels, uint8 (H, W, 3), as a PNG whose bytes are reproducible, whole or not at all."""
    with atomic_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def load_image(path: Path) -> np.ndarray:
    """Read a PNG as uint8 (H, W, 3).

    Raises UserError if the file is missing, incomplete, too large, or not a PNG.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"{path} has {image.width} x {image.height} pixels; the maximum is {MAX_PIXELS}.")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is not a readable PNG: {error}") from error
