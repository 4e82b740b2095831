"""Removal in closed form: solve for the keys and values of cross-attention that map conditions onto their anchors.

For each projection W of text onto keys or values,

    W' = argmin_V  mean_targets E || V c - W a ||^2 + hold E || V h - W h ||^2 + ridge m || V - W ||_F^2

over the positions of each target's conditions c and of their anchors a, and over the positions of h, single words from
the model's own vocabulary, without those of the concepts' texts and prompts. m is the mean square of all these vectors,
so that `ridge` has no unit. The minimum has a closed form (Orgad et al. 2023, TIME; Gandikota et al. 2024, UCE). Meng
et al. 2023 (MEMIT) use a text corpus in the place of the words. Deviations: anchors are inverted tokens, pushed away
from v*. Positions are paired by number, though a token with more vectors than the text has shifts the positions behind
it. SDXL's pooled state is not mapped.
"""

from collections.abc import Sequence

import torch

from hfi_core.erasure.targets import DistillationTarget
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import ClosedForm

_PROJECTIONS = (".to_k.weight", ".to_v.weight")


@torch.no_grad()
def solve(
    model: TextToImage, targets: Sequence[DistillationTarget], words: Sequence[str], spec: ClosedForm, block: int
) -> tuple[dict[str, torch.Tensor], tuple[float, float]]:
    """Solve for W'. Return the cross-attention weights by name, and the objective's values at W and at W'.

    `words` are held. They are encoded `block` at a time. Sums and the solve are in float64 on the CPU.
    """
    # Sums of c c^T, a c^T and a a^T; a word is its own anchor.
    sources = crossed = anchored = sum(
        spec.hold / len(words) * _products(rows, rows)
        for rows in (_read(model, model.encode(words[i : i + block])) for i in range(0, len(words), block))
    )
    for target in targets:
        c = _read(model, target.conditions)
        a = sum(factor * _read(model, anchor) for factor, anchor in target.anchors) if target.anchors else c
        share = 1 / len(targets) / len(c)
        sources = sources + share * _products(c, c)
        crossed = crossed + share * _products(a, c)
        anchored = anchored + share * _products(a, a)
    width = len(sources)
    held = spec.ridge * sources.trace() / width * torch.eye(width, dtype=torch.float64)
    sources, crossed, anchored = sources + held, crossed + held, anchored + held
    # V sources = W crossed, so one factor serves every projection.
    factor = torch.linalg.solve(sources, crossed, left=False)
    weights, gram = model.cross_attention(), torch.zeros_like(sources)
    for name in [name for name in weights if name.endswith(_PROJECTIONS)]:
        w = weights[name].cpu().double()
        gram += w.T @ w
        weights[name] = (w @ factor).to(weights[name].device, torch.float32)
    before = gram * (sources - 2 * crossed + anchored)
    after = gram * (anchored - crossed @ factor.T)
    return weights, (float(before.sum()), float(after.sum()))


def _read(model: TextToImage, conditions: torch.Tensor) -> torch.Tensor:
    """Return what cross-attention reads of conditions (P, L, D), float64 on the CPU."""
    return model.text.unet_inputs(conditions)[0].cpu().double()


def _products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the sum over prompts of the mean over positions of outer products (D, D)."""
    return torch.einsum("pld,ple->de", first, second) / first.shape[1]
