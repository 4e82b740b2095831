"""A model's sizes, by the configuration of its networks; without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def picture_side(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> int:
    """Pixels of a picture's side: the VAE halves it between any two of its blocks.

    Raises TypeError if the UNet's configuration gives no one side.
    """
    side = unet["sample_size"]
    if not isinstance(side, int):
        raise TypeError(f"the UNet's sample_size is {side!r}, and one number is expected: pictures are square")
    return side * 2 ** (len(vae["block_out_channels"]) - 1)


def picture_side_in(folder: Path) -> int:
    """The same of a diffusers folder; OSError, ValueError, KeyError or TypeError where it is none."""
    unet, vae = (json.loads((folder / part / "config.json").read_text("utf-8")) for part in ("unet", "vae"))
    return picture_side(unet, vae)
