"""Find the files of a diffusers folder that make up the model. Does not import torch.

A hub repository often has further copies: the model as single files beside `model_index.json`, and variants of each
network (`fp16`, `non_ema`). They are not loaded, so they are not downloaded, pinned or released.
"""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError, listed

INDEX = "model_index.json"
SCHEDULER = "scheduler"
"""Name of the scheduler's folder."""
MODEL_SUFFIXES = (".safetensors", ".json", ".txt")
VARIANT_PATTERN = "*.*.safetensors"
"""Matches `diffusion_pytorch_model.fp16.safetensors`, which `from_pretrained` reads only on request."""
_WEIGHTS = ("diffusion_pytorch_model", "model")
"""What `save_pretrained` calls the weights: diffusers the first, transformers the second."""


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


def type_of_scheduler(folder: Path) -> str:
    """Return the name of the class of the scheduler whose configuration lies below a folder."""
    return json.loads((folder / SCHEDULER / "scheduler_config.json").read_text(encoding="utf-8"))["_class_name"]


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


def is_model_file(path: Path) -> bool:
    """Return whether a file may belong to a model, by its name. A link to a lost file may, too."""
    return path.suffix in MODEL_SUFFIXES and (path.is_file() or path.is_symlink())


def is_variant(name: str) -> bool:
    """Return whether a file is a variant of weights, such as `model.fp16.safetensors`, that is read only on request."""
    return any(fnmatchcase(Path(name).name, f"{stem}.*.safetensors") for stem in _WEIGHTS)


def _loaded_files(part: Path) -> list[str]:
    paths = part.iterdir() if part.is_dir() else ()
    names = [path.name for path in paths if is_model_file(path)]
    return [name for name in names if not name.startswith(".") and not fnmatchcase(name, VARIANT_PATTERN)]


LFS_POINTER = b"version https://git-lfs.github.com/"
"""How a file begins that git left in place of one that Git LFS has not downloaded."""
SHARDS = ".safetensors.index.json"
"""How the name of an index ends that says in which file each tensor is."""


def require_files(paths: Iterable[Path]) -> None:
    """Raise UserError if a file is missing, a link to a file that is lost, or a pointer of Git LFS."""
    for path in paths:
        if not path.is_file():
            what = "is a link to a file that is lost" if path.is_symlink() else "is missing"
            raise UserError(
                f"{path} {what}.\n  To fix this: download the folder again. For a hub id, `hfi params pin` fetches "
                "what is missing."
            )
        with path.open("rb") as stream:
            if stream.read(len(LFS_POINTER)) == LFS_POINTER:
                raise UserError(
                    f"{path} is a pointer of Git LFS, not the file itself.\n"
                    "  To fix this: run `git lfs pull` in its repository, or download the folder again."
                )


def require_weights(network: Path) -> list[Path]:
    """Return the safetensors files of a network that `from_pretrained` reads: one, or the shards of an index.

    Raises UserError, which names the file, if one is missing or is not a whole safetensors file.
    """
    index = next((network / f"{name}{SHARDS}" for name in _WEIGHTS if (network / f"{name}{SHARDS}").exists()), None)
    if index is not None:
        paths = shards(index)
    else:
        files = [network / f"{name}.safetensors" for name in _WEIGHTS]
        paths = [path for path in files if path.is_file() or path.is_symlink()][:1]
    if not paths:
        name = _WEIGHTS[0 if network.name in ("unet", "vae") else 1]
        raise UserError(f"{network / name}.safetensors is missing.{describe_other_weights(network)}")
    require_files(paths)
    for path in paths:
        tensor_sizes(path)
    return paths


def shards(index: Path) -> list[Path]:
    """Return the files that an index of safetensors files names.

    Raises UserError if one of them is missing, or the index is damaged.
    """
    require_files([index])
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("its weight_map names no files of this folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{index} is not an index of safetensors files ({type(error).__name__}: {error}).\n"
            "  To fix this: download the folder again."
        ) from error
    paths = [index.parent / name for name in names]
    require_files(paths)
    return paths


def describe_other_weights(network: Path) -> str:
    """Return what to do with the weights that lie there and are not read."""
    names = sorted(path.name for path in network.iterdir() if path.suffix in (".safetensors", ".bin", ".ckpt", ".pt"))
    if variants := [name for name in names if fnmatchcase(name, VARIANT_PATTERN)]:
        return (
            f" The folder has only a variant, {listed(variants, 2)}, which diffusers reads only on request.\n"
            "  To fix this: copy the folder, and take the variant (the part between the dots) out of the name there."
        )
    if names:
        return (
            f" The folder has {listed(names, 2)}, which this package does not read: only safetensors are safe to load."
            "\n  To fix this: load it with its library, write it with `save_pretrained(FOLDER)`, and name FOLDER."
        )
    return "\n  To fix this: download the folder again."


def require_tokenizer(folder: Path) -> None:
    """Raise UserError, which names the file, if a folder has not the files of a CLIP tokenizer."""
    whole = folder / "tokenizer.json"
    parts = [folder / "vocab.json", folder / "merges.txt"]
    require_files([whole] if is_model_file(whole) or not any(map(is_model_file, parts)) else parts)


def tensor_sizes(path: Path) -> dict[str, int]:
    """Return the number of elements of each tensor in a safetensors file, from its header.

    Raises UserError if it is not a whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as weights:
            return {name: prod(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}).\n  To fix this: download the file again."
        ) from error


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
