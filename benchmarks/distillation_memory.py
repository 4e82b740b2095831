"""Tensor memory of a distillation step on a Stable Diffusion 1.4-shaped UNet, the reference's layout against ours.

Counted on the meta device, so no weights are needed: parameters, gradients, AdamW moments, and what autograd keeps of
one forward pass at equal batch and in float32. The reference: two whole UNets. Ours: one frozen body, of which student
and teacher replace the cross-attention weights, with `compute.checkpointing: true` as the presets for this size have
it: the blocks' inputs are kept, and the largest block's activations while it is computed again. Ours without it, too.
"""

from collections.abc import Iterable

import torch
from torch.func import functional_call

from benchmarks.random_models import sd15_unet

GIB = 2**30
BATCH = 1


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes that tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _kept_by_autograd(forward, parameters: set[int]) -> int:
    """Bytes of the distinct storages that the backward pass needs, parameters not counted."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []  # so that no storage's address is given away twice
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(forward())
    return sum(kept.values())


def _kept_with_checkpointing(unet, forward, parameters: set[int]) -> int:
    """The same where only the blocks' inputs are kept, and one block at a time is computed again."""
    inputs_kept: dict[int, int] = {}
    blocks: list[int] = []
    alive: list[torch.Tensor] = []

    def measured(module, *inputs):
        for tensor in (one for one in inputs if isinstance(one, torch.Tensor)):
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


def main() -> dict[str, float]:
    """Count both and print one line each."""
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
        "whole_unet_gib": whole / GIB,
        "cross_attention_gib": small / GIB,
        "reference_gib": (2 * whole + training + reference_kept) / GIB,
        "reference_without_activations_gib": (2 * whole + training) / GIB,
        "reference_with_checkpointing_gib": (2 * whole + training + ours_kept) / GIB,
        "ours_gib": (whole + 2 * small + training + ours_kept) / GIB,
        "ours_without_checkpointing_gib": (whole + 2 * small + training + plain_kept) / GIB,
        "ours_without_activations_gib": (whole + 2 * small + training) / GIB,
    }
    figures["share"] = figures["ours_gib"] / figures["reference_gib"]
    figures["share_without_checkpointing"] = figures["ours_without_checkpointing_gib"] / figures["reference_gib"]
    figures["share_if_both_checkpointed"] = figures["ours_gib"] / figures["reference_with_checkpointing_gib"]
    figures["share_without_activations"] = (
        figures["ours_without_activations_gib"] / figures["reference_without_activations_gib"]
    )
    for key, value in figures.items():
        print(f"{key:36} {value:.3f}")
    return figures


if __name__ == "__main__":
    main()
