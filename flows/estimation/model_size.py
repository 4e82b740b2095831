"""Measure the base model without loading it, from its configuration and its safetensors headers."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.models.diffusion.folder import read_picture_side
from hfi_core.models.weights import locate_weights
from hfi_core.params import EMBEDDED, Source

_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")
"""Networks of SDXL; Stable Diffusion 1.x and 2.x have all but the last."""


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a model in a diffusers folder."""

    folder: Path
    picture_side: int
    """Pixels."""
    parameters: int
    """Number in UNet, VAE and text encoders."""
    removed_parameters: int
    """Number in the UNet's cross-attention, which a removal changes and stores in float32."""
    bytes: int
    """Size of the networks' files."""


def measure_model(source: Source) -> ModelSize | None:
    """Return the sizes of a model, or None if it is not on this machine; nothing is downloaded.

    Raises UserError if a folder is missing or damaged.
    """
    folder = _find_local_folder(source)
    if folder is None:
        return None
    try:
        networks = [part for part in _NETWORKS if part != _NETWORKS[-1] or (folder / part).exists()]
        tensors = {part: _tensor_sizes(_weights_file(folder / part)) for part in networks}
        return ModelSize(
            folder,
            picture_side=read_picture_side(folder),
            parameters=sum(sum(sizes.values()) for sizes in tensors.values()),
            removed_parameters=sum(size for name, size in tensors["unet"].items() if ".attn2." in name),
            bytes=sum(_weights_file(folder / part).stat().st_size for part in networks),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} cannot be read as a diffusers folder ({type(error).__name__}: {error}); correct model.source."
        ) from error


def _find_local_folder(source: Source) -> Path | None:
    if source.source == EMBEDDED or Path(source.source).exists() or source.source.count("/") != 1:
        return locate_weights(source.source, source.revision, "model")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source.source, revision=source.revision, local_files_only=True))
    except (OSError, ValueError):  # the hub's own "not in the cache" is one of these
        return None


def _weights_file(network: Path) -> Path:
    """Return the weights file of a network, not one of the variants that a hub folder has beside it."""
    for name in ("diffusion_pytorch_model.safetensors", "model.safetensors"):
        if (network / name).exists():
            return network / name
    raise FileNotFoundError(f"{network} does not hold the weights in one safetensors file")


def _tensor_sizes(path: Path) -> dict[str, int]:
    """Return the number of elements of each tensor in a safetensors file, from its header."""
    with path.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
