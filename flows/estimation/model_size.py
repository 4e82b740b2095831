"""What the base model's folder tells without loading it: sizes, from configuration and safetensors headers."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.models.diffusion.folder import picture_side_in
from hfi_core.models.weights import locate
from hfi_core.params import EMBEDDED, Source

_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")
"""SDXL has all of them, Stable Diffusion 1.x and 2.x all but the last."""


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a diffusers folder."""

    folder: Path
    picture_side: int
    """Pixels."""
    parameters: int
    """Of UNet, VAE and text encoders."""
    removed_parameters: int
    """Of the UNet's cross-attention, which a removal learns and keeps in float32."""
    bytes: int
    """Of the networks' files, as they lie there."""


def measure_model(source: Source) -> ModelSize | None:
    """The sizes of a model, or None where it is not on this machine: nothing is fetched.

    Raises UserError if a folder is missing or torn.
    """
    folder = _find_local_folder(source)
    if folder is None:
        return None
    try:
        networks = [part for part in _NETWORKS if part != _NETWORKS[-1] or (folder / part).exists()]
        shapes = {part: _shapes(_weights(folder / part)) for part in networks}
        return ModelSize(
            folder,
            picture_side=picture_side_in(folder),
            parameters=sum(sum(sizes.values()) for sizes in shapes.values()),
            removed_parameters=sum(size for name, size in shapes["unet"].items() if ".attn2." in name),
            bytes=sum(_weights(folder / part).stat().st_size for part in networks),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} cannot be read as a diffusers folder ({type(error).__name__}: {error}); set model.source."
        ) from error


def _find_local_folder(source: Source) -> Path | None:
    if source.source == EMBEDDED or Path(source.source).exists() or source.source.count("/") != 1:
        return locate(source.source, source.revision, "model")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source.source, revision=source.revision, local_files_only=True))
    except (OSError, ValueError):  # the hub's own "not in the cache" is one of these
        return None


def _weights(part: Path) -> Path:
    """The network's file; a hub folder holds variants beside it."""
    for name in ("diffusion_pytorch_model.safetensors", "model.safetensors"):
        if (part / name).exists():
            return part / name
    raise FileNotFoundError(f"{part} holds no single safetensors file")


def _shapes(path: Path) -> dict[str, int]:
    """Numbers in each tensor of a safetensors file, from its header."""
    with path.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
