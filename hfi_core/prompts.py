"""Find, replace and leave out a concept's text in a prompt, as whole words only: "car" is not in "a scar"."""

import re


def mentions(prompt: str, text: str) -> bool:
    """Return whether the prompt contains the text as whole words."""
    return _whole_words(text).search(prompt) is not None


def replace_text(prompt: str, text: str, replacement: str) -> str:
    """Replace the text wherever the prompt contains it as whole words."""
    return _whole_words(text).sub(lambda _: replacement, prompt)


def leave_out(prompt: str, text: str) -> str:
    """Return the prompt without the text, with single spaces between its words."""
    return " ".join(replace_text(prompt, text, "").split())


def _whole_words(text: str) -> re.Pattern[str]:
    # Not \b: it needs a word character at the edge of the text, and a text such as "C++" ends with a sign.
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
