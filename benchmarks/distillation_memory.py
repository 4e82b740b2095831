"""Count the tensor memory of a distillation step on a UNet of Stable Diffusion 1.4's shape: the reference and ours.

The tensors lie on the meta device, so the count needs no weights. It covers parameters, gradients, AdamW moments, and
what autograd keeps of one forward pass, in float32 and at equal batch. The reference has two whole UNets. Ours has one
frozen UNet, in which student and teacher replace the cross-attention weights. Ours is counted with
`compute.checkpointing: true`, as in the presets for this size, and without. With checkpointing, autograd keeps the
blocks' inputs, and the activations of the largest block while that block is computed again.
"""

from collections.abc import Iterable

import torch
from torch.func import functional_call

from benchmarks.random_models import sd15_unet
from benchmarks.results import Figure

GIB = 2**30
BATCH = 1


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """Count the bytes of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _kept_by_autograd(forward, parameters: set[int]) -> int:
    """Count the bytes of the distinct storages that the backward pass needs, without parameters."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []  # keeps every storage alive, so that none gets the address of another
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(forward())
    return sum(kept.values())


def _kept_with_checkpointing(unet, forward, parameters: set[int]) -> int:
    """Count the same where autograd keeps only the blocks' inputs and computes one block at a time again."""
    inputs_kept: dict[int, int] = {}
    blocks: list[int] = []
    alive: list[torch.Tensor] = []

    def measured(module, *inputs):
        for tensor in (value for value in inputs if isinstance(value, torch.Tensor)):
            inputs_kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
        outputs = []

        def block():
            outputs.append(module(*inputs))
            return outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]

        blocks.append(_kept_by_autograd(block, parameters))
        return outputs[0]

    unet.enable_gradient_checkpointing(measured)
    outside = _kept_by_autograd(forward, parameters)
    unet.disable_gradient_checkpointing()
    return outside + sum(inputs_kept.values()) + max(blocks)


def measure() -> dict[str, Figure]:
    """Count both layouts."""
    with torch.device("meta"):
        unet = sd15_unet().requires_grad_(False)
    learnt = {name: p for name, p in unet.named_parameters() if ".attn2." in name}
    latents = torch.empty((BATCH, 4, 64, 64), device="meta")
    t, text = torch.zeros(BATCH, device="meta"), torch.empty((BATCH, 77, 768), device="meta")
    owned = {p.untyped_storage()._cdata for p in unet.parameters()}

    for parameter in learnt.values():
        parameter.requires_grad_(True)
    reference_kept = _kept_by_autograd(lambda: unet(latents, t, text).sample, owned)
    for parameter in learnt.values():
        parameter.requires_grad_(False)

    student = {name: torch.nn.Parameter(torch.empty_like(p)) for name, p in learnt.items()}
    owned |= {p.untyped_storage()._cdata for p in student.values()}

    def forward() -> torch.Tensor:
        return functional_call(unet, student, (latents, t, text)).sample

    plain_kept = _kept_by_autograd(forward, owned)
    ours_kept = _kept_with_checkpointing(unet, forward, owned)

    whole, small = bytes_of(unet.parameters()), bytes_of(learnt.values())
    training = 3 * small  # gradients and AdamW's two moments
    figures = {
        "whole unet gib": whole / GIB,
        "cross attention gib": small / GIB,
        "reference gib": (2 * whole + training + reference_kept) / GIB,
        "reference without activations gib": (2 * whole + training) / GIB,
        "reference with checkpointing gib": (2 * whole + training + ours_kept) / GIB,
        "ours gib": (whole + 2 * small + training + ours_kept) / GIB,
        "ours without checkpointing gib": (whole + 2 * small + training + plain_kept) / GIB,
        "ours without activations gib": (whole + 2 * small + training) / GIB,
    }
    figures["share"] = figures["ours gib"] / figures["reference gib"]
    figures["share without checkpointing"] = figures["ours without checkpointing gib"] / figures["reference gib"]
    figures["share if both checkpointed"] = figures["ours gib"] / figures["reference with checkpointing gib"]
    figures["share without activations"] = (
        figures["ours without activations gib"] / figures["reference without activations gib"]
    )
    return {name: Figure(value) for name, value in figures.items()}
