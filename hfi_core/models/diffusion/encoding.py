"""Prompts to text conditions, with soft tokens in the place of words.

A token of n vectors takes n places, as `load_textual_inversion` of diffusers lays it out, but neither tokenizer nor
embedding matrix is changed: the vectors are laid over the embedding layer's output, so gradients reach them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

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
