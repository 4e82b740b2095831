"""How a row without weights of its own draws: with a negative prompt, or by Safe Latent Diffusion, on the base."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.models.diffusion.safe_latent_diffusion import SETTINGS, Strength, scale_warmup

RECIPE = "recipe.safetensors"


@dataclass(frozen=True)
class Recipe:
    """What to avoid in every picture, and how."""

    prompt: str
    """What to avoid, in words or by the names of soft tokens."""
    tokens: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """The vectors (n, D) of the soft tokens in `prompt`, by name."""
    strength: Strength | None = None
    """None: `prompt` is the negative prompt, which takes the place of the empty prompt in classifier-free guidance
    (Ho & Salimans 2022). Else it is the safety concept of SLD."""


def save_recipe(folder: Path, recipe: Recipe, base: str, row: str) -> None:
    """Write a recipe. `base` is the digest of the base model."""
    meta = {"base": base, "row": row, "prompt": recipe.prompt, "strength": recipe.strength}
    save_tensors(folder / RECIPE, {name: vectors.float() for name, vectors in recipe.tokens.items()}, meta)


def load_recipe(folder: Path, base: str) -> Recipe | None:
    """Read the recipe of a row; None if it has none.

    Raises UserError if the file is incomplete, or if it belongs to another base.
    """
    path = folder / RECIPE
    if not path.exists():
        return None
    tokens, meta = load_tensors(path)
    if not meta or meta.get("base") != base:
        raise UserError(f"{path} belongs to another base model than the one in params.yaml.")
    return Recipe(meta["prompt"], tokens, meta["strength"])


def describe_recipe(recipe: Recipe, steps: int) -> dict[str, Any]:
    """Return a recipe in words and numbers, for roll-outs of so many steps."""
    if recipe.strength is None:
        return {"method": "negative", "negative_prompt": recipe.prompt}
    settings = SETTINGS[recipe.strength]
    numbers = asdict(settings) | {"warmup": scale_warmup(settings, steps)}
    return {"method": "sld", "safety_concept": recipe.prompt, "strength": recipe.strength, "settings": numbers}
