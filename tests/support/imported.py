"""Weights such as others publish, made from a base. The tensors' names are those of their tools, written by hand."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from hfi_core.compute.seeding import torch_generator
from hfi_core.models.imported import digest_of_imported

UNET_LINEAR = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
UNET_OUT = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0"
UNET_CONV = "down_blocks.0.resnets.0.conv1"
UNET_PROJECTION = "mid_block.attentions.0.proj_in"
UNET_MODULES = (UNET_LINEAR, UNET_OUT, UNET_CONV, UNET_PROJECTION)
TEXT_MODULE = "encoder.layers.0.self_attn.q_proj"
RANK = 3


def imported_row(source: Path, kind: str) -> dict[str, Any]:
    """The row of a source, pinned."""
    return {"method": "imported", "source": str(source), "kind": kind, "digest": digest_of_imported(source)}


def noise(*key: object, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor that follows from its key."""
    return 0.1 * torch.randn(shape, generator=torch_generator("imported", *key))


def factors(module: str, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The matrices down and up of a module's LoRA."""
    out, *rest = weight.shape
    return (
        noise(module, "down", shape=(RANK, *rest)),
        noise(module, "up", shape=(out, RANK, *(1 for _ in rest[1:]))),
    )


def peft_lora(path: Path, unet, text_encoder=None) -> Path:
    """A LoRA as `save_lora_weights` of diffusers names it."""
    tensors = {}
    for module in UNET_MODULES:
        down, up = factors(module, unet.get_submodule(module).weight)
        tensors |= {f"unet.{module}.lora_A.weight": down, f"unet.{module}.lora_B.weight": up}
    if text_encoder is not None:
        down, up = factors(TEXT_MODULE, text_encoder.get_submodule(TEXT_MODULE).weight)
        tensors[f"text_encoder.text_model.{TEXT_MODULE}.lora_A.weight"] = down
        tensors[f"text_encoder.text_model.{TEXT_MODULE}.lora_B.weight"] = up
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


def kohya_lora(path: Path, unet, text_encoder=None, alpha: float = 1.5) -> Path:
    """A LoRA as kohya's sd-scripts name it, with an alpha for each module."""
    named = {f"lora_unet_{module.replace('.', '_')}": (module, unet) for module in UNET_MODULES}
    if text_encoder is not None:
        named["lora_te_text_model_encoder_layers_0_self_attn_q_proj"] = (TEXT_MODULE, text_encoder)
    tensors = {}
    for stem, (module, network) in named.items():
        down, up = factors(module, network.get_submodule(module).weight)
        tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
        tensors[f"{stem}.alpha"] = torch.tensor(alpha)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path
