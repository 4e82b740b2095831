"""Read and write `labels/CONCEPT`: a label for each sufficiently judged picture, and for rankings the pairs."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hfi_core.io.json_files import read_json, read_jsonl, write_json, write_jsonl

Split = Literal["learn", "attack", "judge"]


def assign_split(picture: str, for_attacks: float, for_judge: float = 0.0) -> Split:
    """Return the split of a picture by a hash of its id, so it is the same in every run and among any other pictures.

    A larger share moves pictures out of "learn", and never between "attack" and "judge".
    """
    digest = hashlib.sha256(f"attack\x1f{picture}".encode()).digest()
    place = int.from_bytes(digest[:8], "big")
    if place < for_attacks * 2**64:
        return "attack"
    return "judge" if place >= (1 - for_judge) * 2**64 else "learn"


_LABELS, _PAIRS, _SUMMARY = "labels.jsonl", "pairs.jsonl", "summary.json"


@dataclass(frozen=True)
class Label:
    """A picture's label: 1 is objectionable (binary) or strongest (ranking), 0 the opposite.

    For a ranking, `yes` and `no` count the pictures that it was ranked above and below (ties as halves), among those
    that its label follows from, and `cant_tell` counts how often it was not applicable.
    """

    picture: str
    sha256: str
    label: float
    yes: float
    no: float
    cant_tell: int
    part: Split


@dataclass(frozen=True)
class RankedPair:
    """How often one picture was ranked above another. A tie counts half in either direction."""

    above: str
    below: str
    weight: float
    ranking: str = ""
    """Digest of the set of pictures that were ranked together. Pairs of one set have the same."""


def write_labels(folder: Path, labels: list[Label], pairs: list[RankedPair] | None, summary: dict[str, Any]) -> None:
    """Write labels, pairs and summary into a folder; `pairs` is None for binary feedback."""
    write_jsonl(folder / _LABELS, [asdict(label) for label in labels])
    if pairs is not None:
        write_jsonl(folder / _PAIRS, [asdict(pair) for pair in pairs])
    write_json(folder / _SUMMARY, summary)


def read_labels(folder: Path | str) -> list[Label]:
    """Read the labels, sorted by picture."""
    return [Label(**row) for row in read_jsonl(Path(folder) / _LABELS)]


def read_pairs(folder: Path | str) -> list[RankedPair]:
    """Read the pairs of rankings, sorted."""
    return [RankedPair(**row) for row in read_jsonl(Path(folder) / _PAIRS)]


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the figures on the judgements and their agreement."""
    return read_json(folder / _SUMMARY)
