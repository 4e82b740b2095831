"""Measure the base model without loading it, from its configuration and its safetensors headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hfi_core.models.diffusion.folder import read_picture_side, require_weights, tensor_sizes
from hfi_core.models.diffusion.supported import TOKENIZER, require_supported
from hfi_core.models.weights import find_cached, is_hub_id, locate_weights
from hfi_core.params import Source


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a model in a diffusers folder."""

    folder: Path
    picture_side: int
    """Pixels."""
    parameters: int
    """Number in UNet, VAE and text encoders."""
    unet_parameters: Mapping[str, int]
    """Number in each of the UNet's tensors, by name. A removal stores those that it changes in float32."""
    bytes: int
    """Size of the networks' files."""


def measure_model(source: Source) -> ModelSize | None:
    """Return the sizes of a model, or None if it is not on this machine; nothing is downloaded.

    Raises UserError if a folder is missing or damaged, or holds a model that a run would refuse.
    """
    if is_hub_id(source.source, source.revision):
        folder = find_cached(source.source, source.revision)
        if folder is None:
            return None
    else:
        folder = locate_weights(source.source, source.revision, "model")
    networks = [part for part, kind in require_supported(folder).items() if kind != TOKENIZER]
    files = {part: require_weights(folder / part) for part in networks}
    tensors = {part: [tensor_sizes(path) for path in paths] for part, paths in files.items()}
    return ModelSize(
        folder,
        picture_side=read_picture_side(folder),
        parameters=sum(sum(sizes.values()) for shards in tensors.values() for sizes in shards),
        unet_parameters={name: size for sizes in tensors["unet"] for name, size in sizes.items()},
        bytes=sum(path.stat().st_size for paths in files.values() for path in paths),
    )
