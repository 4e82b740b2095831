"""Build a small byte-pair tokenizer: each word of a world's captions is one token, other ASCII text is spelled."""

import string

from transformers import CLIPTokenizer

from hfi_core.embedded.captions import list_words
from hfi_core.embedded.scenes import World

MAX_TOKENS = 20
_BOS, _EOS = "<|startoftext|>", "<|endoftext|>"
_END = "</w>"


def build_tokenizer(world: World) -> CLIPTokenizer:
    """Build the tokenizer from letters, digits and punctuation, and merges that join each word of the captions."""
    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*characters, *(c + _END for c in characters)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    ranks: dict[tuple[str, str], int] = {}
    for word in list_words(world):
        # Merges of earlier words come first, here as in the tokenizer. New ones join what these leave apart.
        spelled = [*word[:-1], word[-1] + _END]
        while len(parts := _merge(spelled, ranks)) > 1:
            ranks[parts[0], parts[1]] = len(ranks)
            vocabulary.setdefault(parts[0] + parts[1], len(vocabulary))
    for special in (_BOS, _EOS):
        vocabulary[special] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=list(ranks), model_max_length=MAX_TOKENS)


def _merge(parts: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Apply byte-pair merges (Sennrich et al. 2016, algorithm 1): always the pair with the lowest rank."""
    while known := [pair for pair in zip(parts, parts[1:], strict=False) if pair in ranks]:
        first, second = min(known, key=ranks.__getitem__)
        merged: list[str] = []
        for part in parts:
            if merged and merged[-1] == first and part == second:
                merged[-1] = first + second
            else:
                merged.append(part)
        parts = merged
    return parts
