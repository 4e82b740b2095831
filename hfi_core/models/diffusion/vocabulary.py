"""Words that a tokenizer has whole: texts of which it makes one token. They stand for all that a model can be asked."""

from hfi_core.compute.seeding import numpy_generator


def whole_words(tokenizer, most: int) -> list[str]:
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
