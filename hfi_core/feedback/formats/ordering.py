"""A ranking in one line of text: `a > b = c > d`, the strongest first, `=` between ties; and its pictures' digests."""

from collections.abc import Mapping, Sequence


def format_order(groups: Sequence[Sequence[str]]) -> str:
    """Groups as text; picture ids hold neither `>` nor `=`."""
    return " > ".join(" = ".join(group) for group in groups)


def parse_order(text: str) -> list[list[str]]:
    """The groups in a text."""
    if not text.strip():
        return []
    return [[name.strip() for name in group.split("=")] for group in text.split(">")]


def format_digests(digests: Mapping[str, str]) -> str:
    """Digests by picture as text: `a=SHA256 b=SHA256`."""
    return " ".join(f"{picture}={digest}" for picture, digest in digests.items())


def parse_digests(text: str) -> dict[str, str]:
    """The digests in a text; one without its picture or the other way round is no digest of anything."""
    return {picture: digest for picture, _, digest in (pair.partition("=") for pair in text.split())}
