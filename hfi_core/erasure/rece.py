"""Reliable and efficient concept erasure, RECE (Gong et al. 2024, arXiv 2407.12383): adversarial rounds on top of UCE.

The first edit is UCE's (their eq. 3). Each round then derives, for every embedding c of the concept, the embedding c'
whose keys and values in the edited model are nearest to those of c in the base, kept small by `regularization`:

    c' = argmin_x  sum_i || W'_i x - W_i c ||^2 + lambda || x ||^2
       = (lambda I + sum_i W'_i^T W'_i)^-1 (sum_i W'_i^T W_i) c

over all projections i, and edits the model again with c' in the place of c. See docs/explanation/method.md.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from hfi_core.erasure.uce import ConceptEdit, solve
from hfi_core.params import RECE


def derive(
    base: dict[str, torch.Tensor], edited: dict[str, torch.Tensor], c: torch.Tensor, regularization: float
) -> torch.Tensor:
    """Return the embeddings (N, D) that draw in the edited model what the embeddings c (N, D) draw in the base."""
    width = c.shape[1]
    held, crossed = regularization * torch.eye(width, dtype=torch.float64), torch.zeros(width, width).double()
    for name, value in edited.items():
        new, old = (weights.detach().cpu().double() for weights in (value, base[name]))
        held, crossed = held + new.T @ new, crossed + new.T @ old
    return torch.linalg.solve(held, crossed @ c.T).T


def edit_in_rounds(
    base: dict[str, torch.Tensor], edit: ConceptEdit, spec: RECE
) -> Iterator[tuple[dict[str, torch.Tensor], tuple[float, float]]]:
    """Yield what `solve` returns: of UCE's edit, then of every round, which edits the weights of the one before."""
    weights, values = solve(base, edit, spec)
    yield weights, values
    for _ in range(spec.rounds):
        adversarial = replace(edit, erased=derive(base, weights, edit.erased, spec.regularization))
        weights, values = solve(weights, adversarial, spec)
        yield weights, values
