"""What a model reads prompts with: one text encoder (Stable Diffusion 1.x, 2.x) or two (SDXL), behind the same verbs.

A condition is one tensor (B, L, D) whatever the family, so that stages can stack, index and mix conditions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError


def encode_prompts(
    text_encoder: torch.nn.Module, tokenizer, prompts: Sequence[str], tokens: Mapping[str, torch.Tensor]
) -> Any:
    """The encoder's output, all hidden states (B, L, D) in it. Tokens hold vectors (n, D) by their name in prompts."""
    rows = [_lay_out(tokenizer, prompt, tokens) for prompt in prompts]
    device = next(text_encoder.parameters()).device
    ids = torch.tensor([ids for ids, _ in rows], device=device)
    places = [(row, column, name, index) for row, (_, slots) in enumerate(rows) for column, name, index in slots]
    if not places:
        return text_encoder(ids, output_hidden_states=True)

    def overlay(module, inputs, output):
        row, column = torch.tensor([p[:2] for p in places], device=device).T
        vectors = torch.stack([tokens[name][index].to(output) for _, _, name, index in places])
        return output.index_put((row, column), vectors)

    handle = text_encoder.get_input_embeddings().register_forward_hook(overlay)
    try:
        return text_encoder(ids, output_hidden_states=True)
    finally:
        handle.remove()


def _lay_out(
    tokenizer, prompt: str, tokens: Mapping[str, torch.Tensor]
) -> tuple[list[int], list[tuple[int, str, int]]]:
    """Padded ids of a prompt, and the slots (column, token, vector index) that soft tokens fill."""
    length = tokenizer.model_max_length
    # A place-holder must be no special token: the encoder looks for the first end token.
    filler = next(i for i in range(len(tokenizer)) if i not in tokenizer.all_special_ids)
    ids, slots = [tokenizer.bos_token_id], []
    names = sorted(tokens, key=len, reverse=True)
    pieces = re.split("(" + "|".join(map(re.escape, names)) + ")", prompt) if names else [prompt]
    for piece in pieces:
        if piece in tokens:
            count = len(tokens[piece])
            slots += [(len(ids) + k, piece, k) for k in range(count)]
            ids += [filler] * count
        elif piece.strip():
            ids += tokenizer(piece, add_special_tokens=False).input_ids
    if slots and slots[-1][0] >= length - 1:
        raise UserError(
            f"The prompt {prompt!r} is too long for its soft tokens: the text encoder reads {length} tokens."
        )
    ids = [*ids[: length - 1], tokenizer.eos_token_id]
    return ids + [tokenizer.pad_token_id] * (length - len(ids)), slots


def word_embedding(text_encoder: torch.nn.Module, tokenizer, word: str) -> torch.Tensor:
    """Embeddings (n, D) of a word's tokens, copied."""
    ids = tokenizer(word, add_special_tokens=False).input_ids
    if not ids:
        raise UserError(f"The initial word {word!r} has no token in this model's vocabulary.")
    weight = text_encoder.get_input_embeddings().weight
    return weight.detach()[torch.tensor(ids, device=weight.device)].float().clone()


def vocabulary_words(tokenizer, most: int) -> list[str]:
    """At most so many words of two letters or more, without repeats, in an order that the vocabulary alone decides."""
    ids = sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))
    words: dict[str, None] = {}
    for i in numpy_generator("vocabulary", len(ids)).permutation(ids).tolist():
        word = tokenizer.decode([i]).strip()
        if len(word) > 1 and word.isalpha() and tokenizer(word, add_special_tokens=False).input_ids == [i]:
            words[word] = None
        if len(words) == most:
            break
    return list(words)


Tokens = Mapping[str, torch.Tensor]


class TextEncoders(Protocol):
    """Prompts to conditions, and conditions to what the UNet takes."""

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """The encoders by the name of their folder."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a soft token's vector that each encoder reads, side by side."""

    def encode(self, prompts: Sequence[str], tokens: Tokens) -> torch.Tensor:
        """Conditions (B, L, D). `tokens` hold vectors (n, sum of widths) by the name that stands in prompts."""

    def word_embedding(self, word: str) -> torch.Tensor:
        """A word's embeddings (n, sum of widths), copied.

        Raises UserError if it has no token.
        """

    def words(self, most: int) -> list[str]:
        """Words from the model's own vocabulary, at most so many."""

    def conditioned(self, condition: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """What the UNet attends to (B, L', D), and its further arguments."""


@dataclass(frozen=True)
class SingleTextEncoder:
    """Stable Diffusion 1.x and 2.x: the last hidden states of one CLIP text encoder."""

    encoder: torch.nn.Module
    tokenizer: Any

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        return {"text_encoder": self.encoder}

    @property
    def widths(self) -> tuple[int, ...]:
        return (_width(self.encoder),)

    def encode(self, prompts: Sequence[str], tokens: Tokens) -> torch.Tensor:
        return encode_prompts(self.encoder, self.tokenizer, prompts, tokens).last_hidden_state

    def word_embedding(self, word: str) -> torch.Tensor:
        return word_embedding(self.encoder, self.tokenizer, word)

    def words(self, most: int) -> list[str]:
        return vocabulary_words(self.tokenizer, most)

    def conditioned(self, condition: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        return condition, {}


@dataclass(frozen=True)
class DualTextEncoders:
    """SDXL (Podell et al. 2024, section 2.1): the last hidden states but one of two encoders, side by side.

    The second one's pooled state, which the UNet takes besides, is the condition's last row, filled up with zeros.
    """

    encoders: tuple[torch.nn.Module, torch.nn.Module]
    tokenizers: tuple[Any, Any]
    side: int
    """Pixels of a picture: the size that the UNet is told, uncropped (section 2.2)."""
    empty_is_zero: bool
    """Whether the empty prompt's condition is zeros (`force_zeros_for_empty_prompt` of diffusers)."""

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        first, second = self.encoders
        return {"text_encoder": first, "text_encoder_2": second}

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(_width(encoder) for encoder in self.encoders)

    def encode(self, prompts: Sequence[str], tokens: Tokens) -> torch.Tensor:
        parts = {name: torch.split(vectors, self.widths, dim=1) for name, vectors in tokens.items()}
        first, second = (
            encode_prompts(encoder, tokenizer, prompts, {name: part[index] for name, part in parts.items()})
            for index, (encoder, tokenizer) in enumerate(zip(self.encoders, self.tokenizers, strict=True))
        )
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=2)
        pooled = torch.nn.functional.pad(second.text_embeds, (0, hidden.shape[2] - self._pooled))
        condition = torch.cat([hidden, pooled.unsqueeze(1)], dim=1)
        if self.empty_is_zero:
            empty = torch.tensor([not prompt for prompt in prompts], device=condition.device)
            condition = condition.masked_fill(empty[:, None, None], 0)
        return condition

    def word_embedding(self, word: str) -> torch.Tensor:
        parts = [
            word_embedding(encoder, tokenizer, word)
            for encoder, tokenizer in zip(self.encoders, self.tokenizers, strict=True)
        ]
        if len({len(part) for part in parts}) > 1:
            raise UserError(
                f"The initial word {word!r} has another number of tokens for each text encoder: take another."
            )
        return torch.cat(parts, dim=1)

    def words(self, most: int) -> list[str]:
        return vocabulary_words(self.tokenizers[0], most)

    def conditioned(self, condition: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        size = torch.tensor([self.side, self.side, 0, 0, self.side, self.side]).to(condition)
        added = {"text_embeds": condition[:, -1, : self._pooled], "time_ids": size.expand(len(condition), -1)}
        return condition[:, :-1], {"added_cond_kwargs": added}

    @property
    def _pooled(self) -> int:
        return self.encoders[1].config.projection_dim


def _width(encoder: torch.nn.Module) -> int:
    return encoder.get_input_embeddings().weight.shape[1]
