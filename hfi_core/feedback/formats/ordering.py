"""Format and parse a ranking as text, `a > b = c > d` (the strongest first, `=` between ties), and its digests."""

from collections.abc import Mapping, Sequence


def format_order(groups: Sequence[Sequence[str]]) -> str:
    """Format groups as text. Picture ids contain neither `>` nor `=`."""
    return " > ".join(" = ".join(group) for group in groups)


def parse_order(text: str) -> list[list[str]]:
    """Parse a text to groups."""
    if not text.strip():
        return []
    return [[name.strip() for name in group.split("=")] for group in text.split(">")]


def format_digests(digests: Mapping[str, str]) -> str:
    """Format digests by picture as text: `a=SHA256 b=SHA256`."""
    return " ".join(f"{picture}={digest}" for picture, digest in digests.items())


def parse_digests(text: str) -> dict[str, str]:
    """Parse a text to digests by picture. Without `=` a digest is empty, so validation rejects it."""
    return {picture: digest for picture, _, digest in (pair.partition("=") for pair in text.split())}
