"""Build a small byte-pair tokenizer: each word of the captions is one token, other ASCII text is spelled in characters.

There is one exception: `tree` becomes three tokens, because the merge `re`, made for `red`, comes first.
"""

import string

from transformers import CLIPTokenizer

from hfi_core.embedded.scenes import BACKGROUNDS, BADGE, COLOURS, OBJECTS, SHAPES, STYLES

MAX_TOKENS = 20
_BOS, _EOS = "<|startoftext|>", "<|endoftext|>"
_WORDS = (
    "a", "with", "crossed", "in", "the", "style", "of", "star", "leaf", "skull", "bones",
    BADGE, *COLOURS, *OBJECTS, *SHAPES, *BACKGROUNDS, *STYLES,
)  # fmt: skip
_END = "</w>"


def build_tokenizer() -> CLIPTokenizer:
    """Build the tokenizer from letters, digits and punctuation, and merges that join each word from left to right."""
    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*characters, *(c + _END for c in characters)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    merges: list[tuple[str, str]] = []
    for word in sorted(set(_WORDS)):
        parts = [*word[:-1], word[-1] + _END]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts = ["".join(pair), *parts[2:]]
            vocabulary.setdefault(parts[0], len(vocabulary))
    for special in (_BOS, _EOS):
        vocabulary[special] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)
