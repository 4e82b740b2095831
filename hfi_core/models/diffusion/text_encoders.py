"""Encode prompts by one text encoder (Stable Diffusion 1.x, 2.x) or two (SDXL), with the same methods.

A condition is one tensor (B, L, D) in every family, so stages can stack, index and mix conditions.
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
    """Return the encoder's output with all hidden states (B, L, D). `tokens` holds vectors (n, D) by name."""
    rows = [_tokenize(tokenizer, prompt, tokens) for prompt in prompts]
    device = next(text_encoder.parameters()).device
    ids = torch.tensor([ids for ids, _ in rows], device=device)
    overlays = [(row, column, name, index) for row, (_, slots) in enumerate(rows) for column, name, index in slots]
    if not overlays:
        return text_encoder(ids, output_hidden_states=True)

    def overlay(module, inputs, output):
        row, column = torch.tensor([p[:2] for p in overlays], device=device).T
        vectors = torch.stack([tokens[name][index].to(output) for _, _, name, index in overlays])
        return output.index_put((row, column), vectors)

    embeddings = text_encoder.get_input_embeddings()
    known = embeddings.weight.shape[0]
    handles = [
        embeddings.register_forward_pre_hook(lambda module, inputs: (inputs[0].where(inputs[0] < known, 0),)),
        embeddings.register_forward_hook(overlay),
    ]
    try:
        return text_encoder(ids, output_hidden_states=True)
    finally:
        for handle in handles:
            handle.remove()


def _tokenize(
    tokenizer, prompt: str, tokens: Mapping[str, torch.Tensor]
) -> tuple[list[int], list[tuple[int, str, int]]]:
    """Return the padded ids of a prompt, and the slots (column, token, vector index) for the vectors of soft tokens."""
    length = tokenizer.model_max_length
    ids, slots = _tokenize_whole(tokenizer, prompt, tokens)
    if slots and slots[-1][0] >= length - 1:
        raise UserError(
            f"The prompt {prompt!r} is too long for its soft tokens: the text encoder reads at most {length} tokens."
        )
    ids = [*ids[: length - 1], tokenizer.eos_token_id]
    return ids + [tokenizer.pad_token_id] * (length - len(ids)), slots


def _tokenize_whole(
    tokenizer, prompt: str, tokens: Mapping[str, torch.Tensor]
) -> tuple[list[int], list[tuple[int, str, int]]]:
    """Return the ids of a prompt of any length, from the start token on, and the slots as `_tokenize` does."""
    # The ids that diffusers gives to tokens loaded in this order. An encoder whose configuration is old
    # (`eos_token_id: 2`) pools at the highest id, so ids decide what it gives.
    first_id, starts = len(tokenizer), {}
    for name, vectors in tokens.items():
        starts[name], first_id = first_id, first_id + len(vectors)
    ids, slots = [tokenizer.bos_token_id], []
    names = sorted(tokens, key=len, reverse=True)
    pieces = re.split("(" + "|".join(map(re.escape, names)) + ")", prompt) if names else [prompt]
    for piece in pieces:
        if piece in tokens:
            count = len(tokens[piece])
            slots += [(len(ids) + k, piece, k) for k in range(count)]
            ids += range(starts[piece], starts[piece] + count)
        elif piece.strip():
            ids += tokenizer(piece, add_special_tokens=False, verbose=False).input_ids  # no warning of its length
    return ids, slots


def _unread_end(tokenizer, prompt: str, tokens: Mapping[str, torch.Tensor]) -> str:
    ids, _ = _tokenize_whole(tokenizer, prompt, tokens)
    return tokenizer.decode(ids[tokenizer.model_max_length - 1 :]).strip()


def word_embedding(text_encoder: torch.nn.Module, tokenizer, word: str) -> torch.Tensor:
    """Return a copy of the embeddings (n, D) of a word's tokens.

    Raises UserError if the word has no token.
    """
    ids = tokenizer(word, add_special_tokens=False).input_ids
    if not ids:
        raise UserError(f"The initial word {word!r} has no token in this model's vocabulary; choose another word.")
    weight = text_encoder.get_input_embeddings().weight
    return weight.detach()[torch.tensor(ids, device=weight.device)].float().clone()


def vocabulary_words(tokenizer, max_words: int) -> list[str]:
    """Return words of two or more letters, each once, in an order that depends on the vocabulary only."""
    ids = sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))
    words: dict[str, None] = {}
    for i in numpy_generator("vocabulary", len(ids)).permutation(ids).tolist():
        word = tokenizer.decode([i]).strip()
        if len(word) > 1 and word.isalpha() and tokenizer(word, add_special_tokens=False).input_ids == [i]:
            words[word] = None
        if len(words) == max_words:
            break
    return list(words)


Tokens = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Vocabulary:
    """The words that are one token each. A prompt of them, joined by spaces, is read as exactly these tokens."""

    words: Sequence[str]
    embeddings: torch.Tensor
    """Their rows of the embedding table (N, sum of widths), float32."""

    def without(self, excluded: Sequence[str]) -> "Vocabulary":
        """Return the vocabulary without every word that contains one of the excluded."""
        parts = [word.lower() for word in excluded]
        kept = [i for i, word in enumerate(self.words) if not any(part in word for part in parts)]
        return Vocabulary([self.words[i] for i in kept], self.embeddings[kept])


class TextEncoders(Protocol):
    """Encodes prompts as conditions, and turns conditions into inputs of the UNet."""

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the encoders by the names of their folders."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Return how many numbers of a soft token's vector each encoder reads. A vector is their concatenation."""

    def encode(self, prompts: Sequence[str], tokens: Tokens) -> torch.Tensor:
        """Return conditions (B, L, D). `tokens` holds vectors (n, sum of widths) by their name in prompts."""

    def unread_end(self, prompt: str, tokens: Tokens) -> str:
        """Return the end of a prompt that the encoders do not read, because it is too long; "" if they read it all."""

    def word_embedding(self, word: str) -> torch.Tensor:
        """Return a copy of a word's embeddings (n, sum of widths).

        Raises UserError if the word has no token.
        """

    def words(self, max_words: int) -> list[str]:
        """Return at most `max_words` words from the model's vocabulary."""

    def vocabulary(self) -> Vocabulary:
        """Return all words of the model's vocabulary that are one token each.

        Raises UserError if the encoders have different vocabularies.
        """

    def count_tokens(self, prompt: str) -> int:
        """Return how many tokens a prompt of plain words has, without those of start and end."""

    @property
    def max_tokens(self) -> int:
        """Return how many tokens of a prompt the encoders read, without those of start and end."""

    def unet_inputs(self, condition: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the context of the UNet's cross-attention (B, L', D), and the UNet's further arguments."""


@dataclass(frozen=True)
class SingleTextEncoder:
    """Text encoder of Stable Diffusion 1.x and 2.x: the last hidden states of one CLIP text encoder."""

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

    def unread_end(self, prompt: str, tokens: Tokens) -> str:
        return _unread_end(self.tokenizer, prompt, tokens)

    def word_embedding(self, word: str) -> torch.Tensor:
        return word_embedding(self.encoder, self.tokenizer, word)

    def words(self, max_words: int) -> list[str]:
        return vocabulary_words(self.tokenizer, max_words)

    def vocabulary(self) -> Vocabulary:
        return read_vocabulary([self.encoder], [self.tokenizer])

    def count_tokens(self, prompt: str) -> int:
        return _count_tokens(self.tokenizer, prompt)

    @property
    def max_tokens(self) -> int:
        return self.tokenizer.model_max_length - 2

    def unet_inputs(self, condition: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        return condition, {}


@dataclass(frozen=True)
class DualTextEncoders:
    """Text encoders of SDXL (Podell et al. 2024, section 2.1): the penultimate hidden states of both, concatenated.

    The UNet also takes the pooled state of the second encoder. It is the condition's last row, padded with zeros.
    """

    encoders: tuple[torch.nn.Module, torch.nn.Module]
    tokenizers: tuple[Any, Any]
    side: int
    """Side of a picture in pixels. The UNet gets it as the original size, without a crop (section 2.2)."""
    empty_is_zero: bool
    """Whether the condition of the empty prompt is all zeros (`force_zeros_for_empty_prompt` of diffusers)."""

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

    def unread_end(self, prompt: str, tokens: Tokens) -> str:
        return max((_unread_end(tokenizer, prompt, tokens) for tokenizer in self.tokenizers), key=len)

    def word_embedding(self, word: str) -> torch.Tensor:
        parts = [
            word_embedding(encoder, tokenizer, word)
            for encoder, tokenizer in zip(self.encoders, self.tokenizers, strict=True)
        ]
        if len({len(part) for part in parts}) > 1:
            raise UserError(
                f"The initial word {word!r} has different numbers of tokens in the two text encoders; choose another."
            )
        return torch.cat(parts, dim=1)

    def words(self, max_words: int) -> list[str]:
        return vocabulary_words(self.tokenizers[0], max_words)

    def vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.encoders, self.tokenizers)

    def count_tokens(self, prompt: str) -> int:
        return max(_count_tokens(tokenizer, prompt) for tokenizer in self.tokenizers)

    @property
    def max_tokens(self) -> int:
        return min(tokenizer.model_max_length for tokenizer in self.tokenizers) - 2

    def unet_inputs(self, condition: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        size = torch.tensor([self.side, self.side, 0, 0, self.side, self.side]).to(condition)
        added = {"text_embeds": condition[:, -1, : self._pooled], "time_ids": size.expand(len(condition), -1)}
        return condition[:, :-1], {"added_cond_kwargs": added}

    @property
    def _pooled(self) -> int:
        return self.encoders[1].config.projection_dim


def read_vocabulary(encoders: Sequence[torch.nn.Module], tokenizers: Sequence[Any]) -> Vocabulary:
    """Return the vocabulary that the tokenizers share, with the encoders' embeddings side by side.

    Raises UserError if a word is not the same single token in all tokenizers.
    """
    first, *others = tokenizers
    ids = sorted(set(range(len(first))) - set(first.all_special_ids))
    words = [first.decode([i]).strip() for i in ids]
    alone = first(words, add_special_tokens=False).input_ids
    kept = [(i, word) for i, word, read in zip(ids, words, alone, strict=True) if read == [i]]
    for other in others:
        for (i, word), read in zip(kept, other([w for _, w in kept], add_special_tokens=False).input_ids, strict=True):
            if read != [i]:
                raise UserError(
                    f"The model's text encoders have different vocabularies ({word!r} is not the same token), so no "
                    "attack can search for a prompt that both read."
                )
    rows = [network.get_input_embeddings().weight.detach()[[i for i, _ in kept]].float() for network in encoders]
    return Vocabulary([word for _, word in kept], torch.cat(rows, dim=1))


def _count_tokens(tokenizer, prompt: str) -> int:
    return len(tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids)


def _width(encoder: torch.nn.Module) -> int:
    return encoder.get_input_embeddings().weight.shape[1]
