"""Soft tokens on disk: `learned_embeds.safetensors`, the format that diffusers and related tools load."""

from collections.abc import Sequence
from pathlib import Path

import torch

from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors

FILE = "learned_embeds.safetensors"
_SDXL = ("clip_l", "clip_g")
"""Keys of a token's parts for the two encoders of SDXL. The token's name is in the metadata of the file."""


def token_name(concept: str, role: str) -> str:
    """Return the word that stands for a token in prompts, for example `<badge-objectionable>`."""
    return f"<{concept}-{role}>"


def token_phrase(text: str, name: str, *, beside: bool) -> str:
    """Return what takes the place of the concept's text in prompts: a token alone, or beside the text, after it."""
    return f"{text} {name}" if beside else name


def save_token(folder: Path, name: str, vectors: torch.Tensor, widths: Sequence[int] = ()) -> None:
    """Write the vectors (n, D) of one token. `widths` are those of the text encoders; of two, each gets its part."""
    if len(widths) < 2:
        save_tensors(folder / FILE, {name: vectors.float()})
    else:
        parts = torch.split(vectors.float(), list(widths), dim=1)
        save_tensors(folder / FILE, dict(zip(_SDXL, parts, strict=True)), {"token": name})


def load_tokens(folder: Path) -> dict[str, torch.Tensor]:
    """Read all tokens below a folder, by name.

    Raises UserError if there is none, or if a file cannot be parsed.
    """
    tokens: dict[str, torch.Tensor] = {}
    for path in sorted(folder.rglob(FILE)):
        tensors, meta = load_tensors(path)
        if tensors.keys() == set(_SDXL) and meta:
            tensors = {meta["token"]: torch.cat([tensors[part] for part in _SDXL], dim=1)}
        tokens |= tensors
    if not tokens:
        raise UserError(f"No {FILE} below {folder}.")
    return tokens
