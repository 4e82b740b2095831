"""The rows that train nothing: what they avoid, from the concepts' texts or from v*."""

from collections.abc import Mapping

import torch

from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.recipe import Recipe
from hfi_core.params import SLD, Concept, Negative


def make_recipe(spec: Negative | SLD, concepts: Mapping[str, Concept], tokens: Mapping[str, torch.Tensor]) -> Recipe:
    """Return the recipe of a row for all concepts together. `tokens` hold v* of each, if the row is under v*."""
    strength = spec.strength if isinstance(spec, SLD) else None
    if spec.condition == "text":
        return Recipe(", ".join(concept.text for concept in concepts.values()), {}, strength)
    names = [token_name(concept, "objectionable") for concept in concepts]
    return Recipe(", ".join(names), {name: tokens[name] for name in names}, strength)
