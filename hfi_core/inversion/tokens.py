"""Soft tokens on disk: `learned_embeds.safetensors`, the format that diffusers and its neighbours load."""

from collections.abc import Sequence
from pathlib import Path

import torch

from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors

FILE = "learned_embeds.safetensors"
_SDXL = ("clip_l", "clip_g")
"""Keys of the parts of a token for SDXL's two encoders; the file's metadata have the token's name."""


def token_name(concept: str, role: str) -> str:
    """The word that stands for a token in prompts, for example `<badge-objectionable>`."""
    return f"<{concept}-{role}>"


def save_token(folder: Path, name: str, vectors: torch.Tensor, widths: Sequence[int] = ()) -> None:
    """Write one token's vectors (n, D); `widths` are those of SDXL's two encoders, each of which gets its part."""
    if len(widths) < 2:
        save_tensors(folder / FILE, {name: vectors.float()})
    else:
        parts = torch.split(vectors.float(), list(widths), dim=1)
        save_tensors(folder / FILE, dict(zip(_SDXL, parts, strict=True)), {"token": name})


def load_tokens(folder: Path) -> dict[str, torch.Tensor]:
    """All tokens below a folder, by name.

    Raises UserError if there is none or one is torn.
    """
    tokens: dict[str, torch.Tensor] = {}
    for path in sorted(folder.rglob(FILE)):
        found, meta = load_tensors(path)
        if found.keys() == set(_SDXL) and meta:
            found = {meta["token"]: torch.cat([found[part] for part in _SDXL], dim=1)}
        tokens |= found
    if not tokens:
        raise UserError(f"No {FILE} below {folder}.")
    return tokens
