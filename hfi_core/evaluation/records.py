"""What was drawn and judged for a row of the evaluation, as it lies on disk. Reading it loads no torch."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hfi_core.errors import UserError
from hfi_core.io.images import load_image
from hfi_core.io.json_files import read_jsonl
from hfi_core.io.tensors import load_arrays


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read the evaluation that the stage compare wrote.

    Raises UserError if nothing has been evaluated yet.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: `hfi run` makes it.")
    return json.loads(path.read_text(encoding="utf-8"))


RECORDS, FEATURES, PROVENANCE = "pictures.jsonl", "features.safetensors", "provenance.json"


@dataclass(frozen=True)
class EvaluatedVariant:
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
        return load_image(self.folder / f"pictures/{suite}/{index:05d}.png")


def read_variant(folder: Path) -> EvaluatedVariant:
    """Read a row's evaluation.

    Raises UserError if it is missing or torn.
    """
    records = read_jsonl(folder / RECORDS)
    features = load_arrays(folder / FEATURES)["features"]
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / PROVENANCE} cannot be read ({error}); run evaluate again.") from error
    return EvaluatedVariant(folder.name, folder, records, features, provenance)


def read_variants(folder: Path, rows: Sequence[str]) -> list[EvaluatedVariant]:
    """Read the evaluations of several rows, `base` first.

    Raises UserError if one is missing, or was drawn at other prompts or seeds than base.
    """
    ordered = sorted(rows, key=lambda row: row != "base")
    found = [read_variant(folder / row) for row in ordered]
    drawn = [[(r["suite"], r["index"], r["prompt"], r["seed"]) for r in row.records] for row in found]
    for row, asked in zip(found, drawn, strict=True):
        if asked != drawn[0]:
            raise UserError(f"{row.folder} was drawn at other prompts or seeds than base; run evaluate again for both.")
    return found
