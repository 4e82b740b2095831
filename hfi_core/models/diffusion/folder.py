"""Which files of a diffusers folder are the model; without torch.

A hub repository holds the model once more as single files beside `model_index.json`, and each network in several
variants (`fp16`, `non_ema`). None of them is loaded, so none is fetched, pinned or released.
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
"""`diffusion_pytorch_model.fp16.safetensors`: what `from_pretrained` reads only where it is asked for the variant."""


def read_index(folder: Path) -> dict[str, Any]:
    """The folder's `model_index.json`.

    Raises UserError if it is missing or torn.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no {INDEX}: it is no diffusers folder.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / INDEX} cannot be read: {error}") from error
    if not isinstance(index, dict):
        raise UserError(f"{folder / INDEX} holds no JSON object.")
    return index


def components(index: Mapping[str, Any]) -> dict[str, str]:
    """The folders that an index names, with the class that reads each; an entry of nulls names none."""
    return {
        name: value[1]
        for name, value in sorted(index.items())
        if name.isidentifier() and isinstance(value, list) and len(value) == 2 and all(value)
    }


def hub_patterns(index: Mapping[str, Any]) -> list[str]:
    """What to fetch of a repository with this index; `VARIANT` is to be ignored."""
    return [INDEX, *(f"{part}/*{kind}" for part in components(index) for kind in MODEL_SUFFIXES)]


def model_files(folder: Path) -> list[str]:
    """The index, and the files of its components that are loaded, by their names in the folder, in order."""
    found = [INDEX]
    for part in components(read_index(folder)):
        found += [f"{part}/{name}" for name in _files(folder / part)]
    return sorted(found)


def components_without_weights(folder: Path) -> list[str]:
    """Components that the index names, and that are not there, or whose weights are not there as safetensors."""
    return [part for part in components(read_index(folder)) if _lacks_weights(_files(folder / part))]


def _lacks_weights(names: list[str]) -> bool:
    # A network is configured by `config.json`, what has no weights by `tokenizer_config.json` and its like.
    is_network = "config.json" in names and not any(name.endswith("_config.json") for name in names)
    return not names or (is_network and not any(name.endswith(".safetensors") for name in names))


def _files(part: Path) -> list[str]:
    paths = part.iterdir() if part.is_dir() else ()
    names = [path.name for path in paths if path.is_file() and path.suffix in MODEL_SUFFIXES]
    return [name for name in names if not name.startswith(".") and not fnmatchcase(name, VARIANT_PATTERN)]


def picture_side(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> int:
    """Pixels of a picture's side: the VAE halves it between any two of its blocks.

    Raises TypeError if the UNet's configuration gives no one side.
    """
    side = unet["sample_size"]
    if not isinstance(side, int):
        raise TypeError(f"the UNet's sample_size is {side!r}, and one number is expected: pictures are square")
    return side * 2 ** (len(vae["block_out_channels"]) - 1)


def read_picture_side(folder: Path) -> int:
    """The same of a diffusers folder; OSError, ValueError, KeyError or TypeError where it is none."""
    unet, vae = (json.loads((folder / part / "config.json").read_text("utf-8")) for part in ("unet", "vae"))
    return picture_side(unet, vae)
