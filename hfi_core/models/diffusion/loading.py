"""Load a model from a diffusers folder: safetensors only, with the digest that params pin."""

import logging
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from hfi_core.compute.device import configure_torch, device_of, dtype_of
from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors
from hfi_core.models.diffusion.folder import picture_side, read_index
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.models.diffusion.recipe import load_recipe
from hfi_core.models.diffusion.schedule import NoiseSchedule
from hfi_core.models.diffusion.supported import require_supported
from hfi_core.models.diffusion.text_encoders import DualTextEncoders, SingleTextEncoder, TextEncoders
from hfi_core.models.weights import locate_pinned, require_all_tensors
from hfi_core.params import Compute, Params, Source


def enable_checkpointing(unet: torch.nn.Module) -> None:
    """Compute the UNet's blocks again in the backward pass: less memory, more time, same results."""
    unet.enable_gradient_checkpointing(_checkpointed)


def _checkpointed(module: torch.nn.Module, *inputs: Any) -> Any:
    # Take the current weights: at the time of the backward pass, the module has its own weights again.
    weights = dict(module.named_parameters())
    return checkpoint(lambda *again: functional_call(module, weights, again), *inputs, use_reentrant=False)


WEIGHTS = "weights.safetensors"

_UNCLIPPED = {"clip_sample": False}
"""Latents have no bounds. DDIM's default clips them, and it applies if the folder was saved with another scheduler."""
_CORRECTED = _UNCLIPPED | {"steps_offset": 1}
"""The corrections that diffusers' StableDiffusionPipeline makes to every scheduler."""


def load_model(params: Params) -> TextToImage:
    """Load the base model that `params.model` names, frozen and ready to draw.

    Configures torch as `params.compute` says: device, number of threads, deterministic kernels.

    Raises UserError if the device does not exist, or as `load_base_model` does.
    """
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    return replace(model, sampler=params.sampler, block=params.compute.block)


def load_base_model(source: Source, compute: Compute) -> TextToImage:
    """Load the base model, frozen.

    Raises UserError if the folder is missing, incomplete, of an unsupported kind, or does not match the pinned digest.
    """
    folder = locate_pinned(source.source, source.revision, source.digest, "model")
    kinds = require_supported(folder)
    device, dtype = device_of(compute), dtype_of(compute)
    parts = {part: _load_part(folder, part, kind, dtype) for part, kind in kinds.items()}
    scheduler = _load_scheduler(folder, _UNCLIPPED if "text_encoder_2" in parts else _CORRECTED)
    for part, network in parts.items():
        if isinstance(network, torch.nn.Module):
            parts[part] = network.to(device=device, dtype=dtype).eval().requires_grad_(False)
    if device.type == "cpu":
        parts["unet"] = parts["unet"].to(memory_format=torch.channels_last)
    if compute.checkpointing:
        enable_checkpointing(parts["unet"])
    return TextToImage(
        unet=parts["unet"],
        vae=parts["vae"],
        text=_make_text_encoders(folder, parts),
        schedule=NoiseSchedule(scheduler.alphas_cumprod.to(device), scheduler.config.prediction_type),
        scheduler_config=dict(scheduler.config),
        digest=source.digest,
        folder=folder,
        device=device,
        dtype=dtype,
    )


def _make_text_encoders(folder: Path, parts: dict) -> TextEncoders:
    for part in ("text_encoder", "text_encoder_2"):
        if part in parts:
            _require_embeddings(folder, part, parts[part], parts[part.replace("text_encoder", "tokenizer")])
    if "text_encoder_2" not in parts:
        return SingleTextEncoder(parts["text_encoder"], parts["tokenizer"])
    if parts["vae"].dtype == torch.float16 and parts["vae"].config.force_upcast:
        parts["vae"].float()  # this VAE overflows in half precision; diffusers does the same
    return DualTextEncoders(
        (parts["text_encoder"], parts["text_encoder_2"]), (parts["tokenizer"], parts["tokenizer_2"]),
        side=picture_side(parts["unet"].config, parts["vae"].config),
        empty_is_zero=bool(read_index(folder).get("force_zeros_for_empty_prompt", True)),  # diffusers' default
    )  # fmt: skip


def _require_embeddings(folder: Path, part: str, encoder: torch.nn.Module, tokenizer) -> None:
    embeddings = encoder.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > embeddings:
        raise UserError(
            f"{folder / part} has embeddings for {embeddings} tokens, but its tokenizer knows {len(tokenizer)}.\n"
            "  To fix this: download the folder again, or take the tokens that were added out of the tokenizer."
        )


def load_safeguarded_model(source: Source, compute: Compute, folder: Path) -> TextToImage:
    """Load the base model with the weights that a removal changed, or its recipe (in the folder `models/VARIANT`).

    A folder without either gives the base model. Raises UserError as `load_removal_weights` does.
    """
    model = load_base_model(source, compute)
    apply_weights(model, load_removal_weights(model, folder))
    return replace(model, recipe=load_recipe(folder, model.digest))


def load_removal_weights(model: TextToImage, folder: Path) -> dict[str, torch.Tensor]:
    """Load the weights that a removal changed, by name, on the model's device; none if there is no such file.

    Raises UserError if the file is incomplete, does not fit the model, or belongs to another base.
    """
    path = folder / WEIGHTS
    if not path.exists():
        return {}
    weights, meta = load_tensors(path)
    if not meta or meta.get("base") != model.digest:
        raise UserError(f"{path} belongs to another base model than the one in params.yaml.")
    named = model.removable()
    for name, value in weights.items():
        if name not in named or named[name].shape != value.shape:
            raise UserError(f"{path}: {name} {tuple(value.shape)} does not fit this model.")
    return {name: value.to(model.device) for name, value in weights.items()}


@torch.no_grad()
def with_weights(model: TextToImage, weights: Weights) -> TextToImage:
    """Return a model with other weights. The two models share everything else; `model` does not change."""
    unchanged = [value for name, value in model.removable().items() if name not in weights]
    networks = (model.unet, *model.text.networks.values())
    shared = {id(value): value for value in (*unchanged, *(buffer for net in networks for buffer in net.buffers()))}
    of_text = any(name.startswith("text_encoder") for name in weights)
    text = deepcopy(model.text, shared) if of_text else model.text
    changed = replace(model, unet=deepcopy(model.unet, shared), text=text)
    apply_weights(changed, weights)
    return changed


@torch.no_grad()
def apply_weights(model: TextToImage, weights: Weights) -> None:
    """Copy weights into the model, in place."""
    named = model.removable()
    for name, value in weights.items():
        named[name].copy_(value)


def _load_part(folder: Path, part: str, kind: str, dtype: torch.dtype):
    import diffusers
    import transformers
    from transformers.utils.logging import disable_progress_bar

    logging.getLogger("diffusers").setLevel(logging.ERROR)
    disable_progress_bar()  # loading takes seconds, and its bar would break ours
    try:
        if kind == "CLIPTokenizer":
            return transformers.CLIPTokenizer.from_pretrained(folder / part)
        cls = getattr(diffusers, kind, None) or getattr(transformers, kind)
        network, report = cls.from_pretrained(
            folder / part, use_safetensors=True, local_files_only=True, dtype=dtype, output_loading_info=True
        )
    except Exception as error:  # the libraries raise many kinds of errors for a broken folder
        raise UserError(f"{folder / part} cannot be loaded ({type(error).__name__}): {str(error)[:300]}") from error
    require_all_tensors(folder / part, report, kind)
    return network


def _load_scheduler(folder: Path, corrected: Mapping[str, object]):
    from diffusers import DDIMScheduler

    try:
        return DDIMScheduler.from_pretrained(folder / "scheduler", **corrected)
    except Exception as error:  # as above
        raise UserError(
            f"{folder / 'scheduler'} cannot be loaded ({type(error).__name__}): {str(error)[:300]}"
        ) from error
