"""Unified concept editing, UCE (Gandikota et al. 2024, arXiv 2308.14761), under the text concept or under v*.

For each projection W of text onto keys or values, with E the erase set and P the preserve set,

    W' = argmin_V  erase_scale sum_E || V c - W c* ||^2 + preserve_scale sum_P || V p - W p ||^2 + lamb || V - W ||_F^2

whose minimum is the paper's eq. 7 (with the weights and the last term of the authors' code):

    W' = (sum_E W c* c^T + sum_P W p p^T + lamb W) (sum_E c c^T + sum_P p p^T + lamb I)^-1

c are the positions of what is erased, and c* those of its anchor, paired by number. See docs/explanation/method.md.
"""

from dataclasses import dataclass

import torch

from hfi_core.erasure.targets import ErasureConcept
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import RECE, UCE
from hfi_core.prompts import leave_out, replace_text


@dataclass(frozen=True)
class ConceptEdit:
    """What one edit maps onto what, as rows that cross-attention reads: float64 on the CPU."""

    erased: torch.Tensor
    """c (N, D)."""
    anchors: torch.Tensor
    """c* (N, D)."""
    preserved: torch.Tensor
    """p (M, D)."""


@torch.no_grad()
def make_edit(model: TextToImage, concepts: list[ErasureConcept], spec: UCE | RECE) -> ConceptEdit:
    """Return the edit of all concepts: of each, its words (or v*) alone and in its prompts."""
    erased, anchors = [], []
    for concept in concepts:
        text = concept.spec.text
        source = token_name(concept.name, "objectionable") if spec.condition == "token" else text
        prompts = [text, *concept.spec.prompts]
        erased.append(_read(model, [replace_text(prompt, text, source) for prompt in prompts], concept.tokens))
        anchored = [replace_text(p, text, spec.anchor) if spec.anchor else leave_out(p, text) for p in prompts]
        anchors.append(_read(model, anchored))
    kept = _read(model, spec.preserved) if spec.preserved else torch.zeros((0, erased[0].shape[1])).double()
    return ConceptEdit(torch.cat(erased), torch.cat(anchors), kept)


def solve(
    weights: dict[str, torch.Tensor], edit: ConceptEdit, spec: UCE | RECE
) -> tuple[dict[str, torch.Tensor], tuple[float, float]]:
    """Solve for W' of every projection. Return them by name, and the sum of the objectives at W and at W'."""
    c, a, p = edit.erased, edit.anchors, edit.preserved
    held = spec.preserve_scale * p.T @ p + spec.lamb * torch.eye(c.shape[1], dtype=torch.float64)
    # Every target is W times something, so one factor serves all projections: W' = W factor.
    factor = torch.linalg.solve(spec.erase_scale * c.T @ c + held, spec.erase_scale * a.T @ c + held, left=False)
    solved, before, after = {}, 0.0, 0.0
    for name, value in weights.items():
        w = value.detach().cpu().double()
        before, after = before + objective(w, w, edit, spec), after + objective(w @ factor, w, edit, spec)
        solved[name] = (w @ factor).to(value.device, torch.float32)
    return solved, (before, after)


def objective(v: torch.Tensor, w: torch.Tensor, edit: ConceptEdit, spec: UCE | RECE) -> float:
    """Return the objective of one projection W at V."""
    erased = (edit.erased @ v.T - edit.anchors @ w.T).square().sum()
    kept = (edit.preserved @ (v - w).T).square().sum()
    change = (v - w).square().sum()
    return float(spec.erase_scale * erased + spec.preserve_scale * kept + spec.lamb * change)


def _read(model: TextToImage, prompts, tokens=None) -> torch.Tensor:
    """Return what cross-attention reads of prompts, position by position (N, D), float64 on the CPU."""
    return model.text.unet_inputs(model.encode(list(prompts), tokens))[0].flatten(0, 1).cpu().double()
