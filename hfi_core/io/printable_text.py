"""Make text from files and browsers safe to print. It may hold control characters, lone surrogates and the like."""


def escape_unprintable(text: str) -> str:
    """Return a text with unprintable characters as escapes, for a message that a terminal shows."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def remove_unprintable(text: str) -> str | None:
    """Return a text without unprintable characters but for newlines and tabs, stripped; None if nothing is left.

    For free text that is stored: some databases reject control characters.
    """
    return "".join(character for character in text if character in "\n\t" or character.isprintable()).strip() or None
