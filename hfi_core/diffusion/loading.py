"""Reads a model from a diffusers folder: safetensors only, checked against the digest that params pin."""

import json
import logging
from pathlib import Path

import torch

from hfi_core.diffusion.compute import device_of, dtype_of
from hfi_core.diffusion.model import TextToImage
from hfi_core.diffusion.schedule import NoiseSchedule
from hfi_core.errors import UserError
from hfi_core.params import Compute, Source
from hfi_core.sources import checked
from hfi_core.tensors import load_tensors

WEIGHTS = "weights.safetensors"
_PARTS = {
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
}


def load_model(source: Source, compute: Compute) -> TextToImage:
    """The base model, frozen.

    Raises UserError if the folder is missing, torn, of another shape, or not the one that params pin.
    """
    folder = checked(source.source, source.revision, source.digest, "model")
    index = _read_index(folder)
    for part, (library, kind) in _PARTS.items():
        if index.get(part, [None, None])[1] not in (kind, f"{kind}Fast"):
            raise UserError(f"{folder}: {part} is {index.get(part)}; {library}'s {kind} is supported.")
    device, dtype = device_of(compute), dtype_of(compute)
    parts = {part: _load_part(folder, part, dtype) for part in _PARTS}
    scheduler = _load_scheduler(folder)
    networks = {
        part: parts[part].to(device=device, dtype=dtype).eval().requires_grad_(False)
        for part in ("unet", "vae", "text_encoder")
    }
    if device.type == "cpu":
        networks["unet"] = networks["unet"].to(memory_format=torch.channels_last)
    return TextToImage(
        **networks,
        tokenizer=parts["tokenizer"],
        schedule=NoiseSchedule(scheduler.alphas_cumprod.to(device), scheduler.config.prediction_type),
        scheduler_config=dict(scheduler.config),
        digest=source.digest,
        device=device,
        dtype=dtype,
    )


def load_safeguarded(source: Source, compute: Compute, folder: Path) -> TextToImage:
    """The base model with the weights that a removal changed (`models/ROW`; a row without weights is the base).

    Raises UserError if the weights are torn, misshapen, or belong to another base.
    """
    model = load_model(source, compute)
    if (folder / WEIGHTS).exists():
        weights, meta = load_tensors(folder / WEIGHTS)
        if not meta or meta.get("base") != model.digest:
            raise UserError(f"{folder / WEIGHTS} changes another base model than params.yaml names.")
        apply_weights(model, weights, str(folder / WEIGHTS))
    return model


@torch.no_grad()
def apply_weights(model: TextToImage, weights: dict[str, torch.Tensor], where: str) -> None:
    """Write weights into the UNet, in place.

    Raises UserError if a name or a shape is not the UNet's.
    """
    named = dict(model.unet.named_parameters())
    for name, value in weights.items():
        if name not in named or named[name].shape != value.shape:
            raise UserError(f"{where}: {name} {tuple(value.shape)} does not fit this UNet.")
        named[name].copy_(value)


def _read_index(folder: Path) -> dict:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no model_index.json: it is no diffusers folder.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'model_index.json'} cannot be read: {error}") from error
    if not isinstance(index, dict):
        raise UserError(f"{folder / 'model_index.json'} holds no JSON object.")
    return index


def _load_part(folder: Path, part: str, dtype: torch.dtype):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer
    from transformers.utils.logging import disable_progress_bar

    classes = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    disable_progress_bar()  # seconds at most, and it would garble our own
    try:
        if part == "tokenizer":
            return CLIPTokenizer.from_pretrained(folder / part)
        return classes[part].from_pretrained(folder / part, use_safetensors=True, local_files_only=True, dtype=dtype)
    except Exception as error:  # the libraries raise whatever their parsers raise on a broken folder
        raise UserError(f"{folder / part} cannot be loaded ({type(error).__name__}): {str(error)[:300]}") from error


def _load_scheduler(folder: Path):
    from diffusers import DDIMScheduler

    try:
        return DDIMScheduler.from_pretrained(folder / "scheduler")
    except Exception as error:  # as above
        raise UserError(
            f"{folder / 'scheduler'} cannot be loaded ({type(error).__name__}): {str(error)[:300]}"
        ) from error
