"""Where a concept's text stands in a prompt: as whole words, so that the text "car" is not in "a scar"."""

import re


def mentions(prompt: str, text: str) -> bool:
    """Whether the text stands in the prompt as whole words."""
    return _whole_words(text).search(prompt) is not None


def replace_text(prompt: str, text: str, other: str) -> str:
    """The prompt with other words wherever the text stands in it."""
    return _whole_words(text).sub(lambda _: other, prompt)


def _whole_words(text: str) -> re.Pattern[str]:
    # No \b, which would ask for a letter beside a text that itself begins or ends with a sign, such as "C++".
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
