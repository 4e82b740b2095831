"""Find the files of a diffusers folder that make up the model. Does not import torch.

A hub repository often has further copies: the model as single files beside `model_index.json`, and variants of each
network (`fp16`, `non_ema`). They are not loaded, so they are not downloaded, pinned or released.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError

INDEX = "model_index.json"
MODEL_SUFFIXES = (".safetensors", ".json", ".txt")
VARIANT_PATTERN = "*.*.safetensors"
"""Matches `diffusion_pytorch_model.fp16.safetensors`, which `from_pretrained` reads only on request."""


def read_index(folder: Path) -> dict[str, Any]:
    """Read the folder's `model_index.json`.

    Raises UserError if it is missing or incomplete.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {INDEX}, so it is not a diffusers folder.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / INDEX} cannot be read: {error}") from error
    if not isinstance(index, dict):
        raise UserError(f"{folder / INDEX} is not a JSON object.")
    return index


def components(index: Mapping[str, Any]) -> dict[str, str]:
    """Return the component folders in an index, with the class that reads each. An entry of nulls is none."""
    return {
        name: value[1]
        for name, value in sorted(index.items())
        if name.isidentifier() and isinstance(value, list) and len(value) == 2 and all(value)
    }


def hub_patterns(index: Mapping[str, Any]) -> list[str]:
    """Return the patterns of the files to download from a repository, except those that match `VARIANT_PATTERN`."""
    return [INDEX, *(f"{part}/*{kind}" for part in components(index) for kind in MODEL_SUFFIXES)]


def model_files(folder: Path) -> list[str]:
    """Return the sorted paths, inside the folder, of the index and of the component files that are loaded."""
    parts = components(read_index(folder))
    return sorted([INDEX, *(f"{part}/{name}" for part in parts for name in _loaded_files(folder / part))])


def components_without_weights(folder: Path) -> list[str]:
    """Return the components of the index that are missing, or whose weights are not safetensors."""
    return [part for part in components(read_index(folder)) if _lacks_weights(_loaded_files(folder / part))]


def _lacks_weights(names: list[str]) -> bool:
    # A network has a `config.json`. A component without weights has `tokenizer_config.json` or a similar file.
    is_network = "config.json" in names and not any(name.endswith("_config.json") for name in names)
    return not names or (is_network and not any(name.endswith(".safetensors") for name in names))


def _loaded_files(part: Path) -> list[str]:
    paths = part.iterdir() if part.is_dir() else ()
    names = [path.name for path in paths if path.is_file() and path.suffix in MODEL_SUFFIXES]
    return [name for name in names if not name.startswith(".") and not fnmatchcase(name, VARIANT_PATTERN)]


def picture_side(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> int:
    """Return the side of a picture in pixels. Between two blocks, the VAE halves it.

    Raises TypeError if the UNet's configuration does not give one side.
    """
    side = unet["sample_size"]
    if not isinstance(side, int):
        raise TypeError(f"the UNet's sample_size is {side!r}; one number is expected, because pictures are square")
    return side * 2 ** (len(vae["block_out_channels"]) - 1)


def read_picture_side(folder: Path) -> int:
    """Return the side of a picture, in pixels, of the model in a diffusers folder.

    Raises OSError, ValueError, KeyError or TypeError if it is not a diffusers folder.
    """
    unet, vae = (json.loads((folder / part / "config.json").read_text("utf-8")) for part in ("unet", "vae"))
    return picture_side(unet, vae)
