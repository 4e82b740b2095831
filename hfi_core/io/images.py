"""Pictures on disk: PNG, checked before they are decoded."""

from pathlib import Path

import numpy as np
from PIL import Image

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file

MOST_PIXELS = 4096 * 4096


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 (H, W, 3) as a PNG of reproducible bytes, whole or not at all."""
    with atomic_file(path) as beside:
        Image.fromarray(pixels).save(beside, format="PNG")


def load_image(path: Path) -> np.ndarray:
    """Read a PNG as uint8 (H, W, 3).

    Raises UserError for a file that is missing, torn, too large, or no PNG.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"{path} has {image.width} x {image.height} pixels; at most {MOST_PIXELS} are read.")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no readable PNG: {error}") from error
