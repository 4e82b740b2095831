"""Build prompts from words of the model's vocabulary: what the attacks that search for prompts share."""

from collections.abc import Sequence

import torch

from hfi_core.errors import UserError
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.text_encoders import Vocabulary


def require_room(model: TextToImage, attack: str, tokens: int, prompt: str = "") -> None:
    """Raise UserError if the text encoder does not read `tokens` words and then the whole prompt."""
    needed, most = tokens + model.text.count_tokens(prompt), model.text.max_tokens
    if needed > most:
        after = f" before the prompt {prompt!r}" if prompt else ""
        raise UserError(
            f"The attack {attack}: {tokens} tokens{after} are {needed} in all, and the model's text encoder reads "
            f"{most}. To fix this: lower the attack's `tokens` in params.yaml."
        )


def require_words(vocabulary: Vocabulary, attack: str, least: int) -> None:
    """Raise UserError if the vocabulary has fewer words than an attack chooses from."""
    if len(vocabulary.words) < least:
        raise UserError(
            f"The attack {attack} chooses from {least} words, and the model's vocabulary has "
            f"{len(vocabulary.words)} that are one token each and are not excluded. To fix this: lower that number, "
            "or exclude fewer words, in params.yaml."
        )


def join_words(vocabulary: Vocabulary, rows: Sequence[int], prompt: str = "") -> str:
    """Return the words in these rows of the vocabulary and then the prompt, joined by spaces."""
    return " ".join([*(vocabulary.words[row] for row in rows), *([prompt] if prompt else [])])


@torch.no_grad()
def encode_in_blocks(model: TextToImage, prompts: Sequence[str], block: int) -> torch.Tensor:
    """Return the conditions (N, L, D) of prompts, encoded a block at a time."""
    return torch.cat([model.encode(prompts[i : i + block]) for i in range(0, len(prompts), block)])
