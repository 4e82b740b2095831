"""What is drawn of every row, and how a row's evaluation lies on disk: what evaluate and compare share.

`evaluation/ROW/` holds `pictures/SUITE/INDEX.png`, `pictures.jsonl` (a picture a line, by suite and index),
`features.safetensors` (CLIP features in the same order) and `provenance.json`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hfi_core.compute.seeding import picture_seed
from hfi_core.errors import UserError
from hfi_core.inversion.attackers import attackers_of
from hfi_core.inversion.examples import read_jsonl
from hfi_core.inversion.tokens import with_token
from hfi_core.io.images import load_picture
from hfi_core.io.tensors import load_tensors
from hfi_core.models.diffusion.sampling import Request
from hfi_core.params import Params

RECORDS, FEATURES, PROVENANCE = "pictures.jsonl", "features.safetensors", "provenance.json"
REINVERTED = "reinverted"
_RIVALS = {
    "broad": ("unrelated",),
    REINVERTED: ("unrelated",),
    "precise": ("neighbours", "unrelated"),
    "neighbours": ("precise", "unrelated"),
    "unrelated": ("broad", "precise", "neighbours"),
}
"""The suites whose prompts are wrong for a suite's pictures. A picture that `precise` or `neighbours` ask for is one
that `broad` asks for, too, so these do not compete."""
SEED_RULE = (
    "seed of picture I (from 0) of a prompt: the first 8 bytes, big-endian, of sha256 of "
    "SEED, 'evaluate', SUITE, PROMPT, I joined by U+001F, shifted right by 1, modulo 2**31; the same in every row"
)


@dataclass(frozen=True)
class Shot:
    """One picture of an evaluation: `request` is what is drawn, `prompt` the same in plain words."""

    suite: str
    index: int
    prompt: str
    request: Request
    attacker: str | None = None
    """Whose token the request names; see `Attacker.name`."""

    @property
    def file(self) -> str:
        """Path below a row's folder."""
        return f"pictures/{self.suite}/{self.index:05d}.png"


def shots_of(params: Params) -> list[Shot]:
    """Every picture that is drawn of a row, suite by suite, at seeds that do not depend on the row."""
    shots = []
    for suite, spec in params.evaluate.suites.items():
        pairs = [(prompt, i) for prompt in spec.prompts for i in range(spec.pictures)]
        shots += [
            Shot(suite, index, prompt, Request(prompt, _seed(params, suite, prompt, i)))
            for index, (prompt, i) in enumerate(pairs)
        ]
    attacked = [
        (concept.prompts[i % len(concept.prompts)], concept.text, attacker, i)
        for name, concept in params.concepts.items()
        for attacker in attackers_of(params, name)
        for i in range(params.evaluate.reinverted)
    ]
    for index, (prompt, text, attacker, i) in enumerate(attacked):
        asked = with_token(prompt, text, attacker.token)
        request = Request(asked, _seed(params, REINVERTED, asked, i))
        shots.append(Shot(REINVERTED, index, prompt, request, attacker.name))
    return shots


def rivals_of(params: Params, suite: str) -> list[str]:
    """Prompts of other suites that ask for something else than the suite's own; see `Judge.judge`."""
    return [prompt for other in _RIVALS[suite] for prompt in params.evaluate.suites[other].prompts]


def _seed(params: Params, suite: str, prompt: str, index: int) -> int:
    return picture_seed(params.seed, "evaluate", suite, prompt, index)


@dataclass(frozen=True)
class Evaluated:
    """One row's evaluation, as it was read."""

    row: str
    folder: Path
    records: Sequence[dict[str, Any]]
    features: np.ndarray
    provenance: dict[str, Any]

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """Positions of each suite's pictures in `records` and `features`."""
        suites = np.array([record["suite"] for record in self.records])
        return {suite: np.flatnonzero(suites == suite) for suite in dict.fromkeys(suites.tolist())}

    def column(self, suite: str, field: str) -> np.ndarray:
        """One field of a suite's pictures."""
        return np.array([self.records[i][field] for i in self.places[suite]])

    def each_picture(self, suite: str) -> Iterator[np.ndarray]:
        """A suite's pictures one after the other, uint8 (H, W, 3): all together would be gigabytes."""
        return (self.picture(suite, index) for index in self.column(suite, "index"))

    def picture(self, suite: str, index: int) -> np.ndarray:
        """One picture, uint8 (H, W, 3)."""
        return load_picture(self.folder / f"pictures/{suite}/{index:05d}.png")


def read_evaluated(folder: Path) -> Evaluated:
    """Read a row's evaluation.

    Raises UserError if it is missing or torn.
    """
    records = read_jsonl(folder / RECORDS)
    features = load_tensors(folder / FEATURES)[0]["features"].numpy()
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / PROVENANCE} cannot be read ({error}); run evaluate again.") from error
    return Evaluated(folder.name, folder, records, features, provenance)


def read_rows(folder: Path, rows: Sequence[str]) -> list[Evaluated]:
    """Read the evaluations of several rows, `base` first.

    Raises UserError if one is missing, or was drawn at other prompts or seeds than base.
    """
    ordered = sorted(rows, key=lambda row: row != "base")
    found = [read_evaluated(folder / row) for row in ordered]
    drawn = [[(r["suite"], r["index"], r["prompt"], r["seed"]) for r in row.records] for row in found]
    for row, asked in zip(found, drawn, strict=True):
        if asked != drawn[0]:
            raise UserError(f"{row.folder} was drawn at other prompts or seeds than base; run evaluate again for both.")
    return found
