"""Soft tokens on disk: `learned_embeds.safetensors`, the format that diffusers and its neighbours load."""

from pathlib import Path

import torch

from hfi_core.errors import UserError
from hfi_core.tensors import load_tensors, save_tensors

FILE = "learned_embeds.safetensors"


def token_name(concept: str, role: str) -> str:
    """The word that stands for a token in prompts, for example `<badge-objectionable>`."""
    return f"<{concept}-{role}>"


def save_token(folder: Path, name: str, vectors: torch.Tensor) -> None:
    """Write one token's vectors (n, D)."""
    save_tensors(folder / FILE, {name: vectors.float()})


def load_tokens(folder: Path) -> dict[str, torch.Tensor]:
    """All tokens below a folder, by name.

    Raises UserError if there is none or one is torn.
    """
    tokens: dict[str, torch.Tensor] = {}
    for path in sorted(folder.rglob(FILE)):
        tokens |= load_tensors(path)[0]
    if not tokens:
        raise UserError(f"No {FILE} below {folder}.")
    return tokens


def with_token(prompt: str, text: str, name: str) -> str:
    """The prompt with a token's name in the place of the concept's text."""
    return prompt.replace(text, name)
