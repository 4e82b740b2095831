"""Removal in one solve: keys and values of cross-attention that map conditions onto their anchors.

For each projection W of text onto keys or values,

    W' = argmin_V  mean_lessons E || V c - W a ||^2 + hold E || V h - W h ||^2 + ridge m || V - W ||_F^2

over the positions of each lesson's conditions c and of their anchors a, and over those of h, single words from the
model's own vocabulary; m is the mean square of all that is read, so that `ridge` has no unit. The minimum has a closed
form (Orgad et al. 2023, TIME; Gandikota et al. 2024, UCE); the words stand where Meng et al. 2023 (MEMIT) have a text
corpus. Deviations: anchors are inverted tokens, pushed away from v*; and positions are paired as they stand, though a
token of more vectors than the text shifts those behind it. SDXL's pooled state is not mapped.
"""

from collections.abc import Sequence

import torch

from hfi_core.erasure.targets import DistillationTarget
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import ClosedForm

WORDS = 1000
"""Words that are held, at most."""
_PROJECTIONS = (".to_k.weight", ".to_v.weight")


@torch.no_grad()
def solve(
    model: TextToImage, lessons: Sequence[DistillationTarget], spec: ClosedForm, block: int
) -> tuple[dict[str, torch.Tensor], tuple[float, float]]:
    """The model's cross-attention weights by name, keys and values mapped, and the objective's value at W and at W'.

    Words are encoded `block` at a time; sums and the solve are in float64 on the CPU.
    """
    words = model.text.words(WORDS)
    # Sums of c c^T, a c^T and a a^T; a word is its own anchor.
    sources = crossed = anchored = sum(
        spec.hold / len(words) * _products(rows, rows)
        for rows in (_read(model, model.encode(words[i : i + block])) for i in range(0, len(words), block))
    )
    for lesson in lessons:
        c = _read(model, lesson.conditions)
        a = sum(factor * _read(model, anchor) for factor, anchor in lesson.anchors)
        share = 1 / len(lessons) / len(c)
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
    """What cross-attention reads of conditions (P, L, D)."""
    return model.text.conditioned(conditions)[0].cpu().double()


def _products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The sum over prompts and the mean over positions of outer products (D, D)."""
    return torch.einsum("pld,ple->de", first, second) / first.shape[1]
