"""Read the names of a LoRA's tensors: those of PEFT, of earlier diffusers, and of kohya's sd-scripts.

kohya writes a module's name with underscores, so a name alone is ambiguous. It is looked up among the names that the
base's own modules would get. Does not import torch.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Part = Literal["down", "up", "alpha"]

_SUFFIXES: dict[str, Part] = {
    ".lora_A.weight": "down", ".lora_A.default.weight": "down",
    ".lora_B.weight": "up", ".lora_B.default.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down", ".lora_linear_layer.up.weight": "up",
    "_lora.down.weight": "down", "_lora.up.weight": "up",
    ".lora_down.weight": "down", ".lora_up.weight": "up",
    ".alpha": "alpha",
}  # fmt: skip
"""How a tensor's name ends: PEFT, diffusers, diffusers' text encoders, diffusers' attention processors, kohya."""
_ROOTS = ("base_model.model.", "unet.", "")
"""What may precede a UNet's module."""


class LoraNames:
    """The names that a LoRA may give to the modules of one base."""

    def __init__(self, modules: Iterable[str]) -> None:
        """Prepare the look-up. `modules` are named as in `weights.safetensors`, without `.weight`."""
        names = list(modules)
        first_block = [re.match(r"down_blocks\.0\.resnets\.(\d+)\.", name) for name in names]
        resnets = len({found[1] for found in first_block if found})
        self._modules = {alias: name for name in names for alias in _aliases(name, resnets)}

    def find(self, key: str) -> tuple[str, Part] | None:
        """Return the module that a tensor belongs to, and which part of its LoRA it is; None if there is none."""
        for suffix, part in _SUFFIXES.items():
            if key.endswith(suffix):
                module = key.removesuffix(suffix)
                if suffix.startswith("_lora"):  # attn2.processor.to_out_lora is about attn2.to_out.0
                    module = re.sub(r"\.to_out$", ".to_out.0", module.replace(".processor.", "."))
                if module in self._modules:
                    return self._modules[module], part
        return None


def _aliases(name: str, resnets: int) -> Iterable[str]:
    encoder, _, module = name.partition(".")
    if encoder.startswith("text_encoder"):
        yield f"{encoder}.{module}"
        yield f"{encoder}.text_model.{module}"
        number = encoder.removeprefix("text_encoder").replace("_", "") or "1"
        for prefix in ("lora_te_", "lora_te1_") if number == "1" else ("lora_te2_",):
            yield f"{prefix}text_model_{_underscored(module)}"
            yield f"{prefix}{_underscored(module)}"
        return
    for root in _ROOTS:
        yield f"{root}{name}"
    yield f"lora_unet_{_underscored(name)}"
    yield f"lora_unet_{_underscored(original_name(name, resnets))}"


def _underscored(module: str) -> str:
    return module.replace(".", "_")


_RESNET_PARTS = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTSIDE_BLOCKS: Mapping[str, str] = {
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip


def original_name(module: str, resnets: int) -> str:
    """Return the name of a UNet's module in the code of CompVis and Stability AI, which kohya's SDXL LoRAs use.

    `resnets` is the number of ResNets in a block on the way down; on the way up there is one more.
    """
    if module in _OUTSIDE_BLOCKS:
        return _OUTSIDE_BLOCKS[module]
    if found := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", module):
        kind, number, rest = found[1], int(found[2]), found[3]
        return f"middle_block.{2 * number + (kind == 'attentions')}.{_inner(kind, rest)}"
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", module)
    if not found:
        return module
    way, block, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (resnets + 1)}.0.op"
    if kind == "upsamplers":  # SDXL's blocks that end with one have attention, so it is the third part
        return f"output_blocks.{(block + 1) * (resnets + 1) - 1}.2.{rest}"
    place = 1 + block * (resnets + 1) + number if way == "down" else block * (resnets + 1) + number
    return f"{'input' if way == 'down' else 'output'}_blocks.{place}.{int(kind == 'attentions')}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    if kind == "attentions":
        return rest
    head, _, tail = rest.partition(".")
    return ".".join(filter(None, [_RESNET_PARTS.get(head, head), tail]))
