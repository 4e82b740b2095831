"""Read what the stage evaluate wrote for a variant: pictures, verdicts, CLIP features. Does not import torch.

`evaluation/VARIANT/` holds `pictures/SUITE/INDEX.png`, `pictures.jsonl` (one picture a line, by suite and index),
`features.safetensors` (CLIP features in the same order) and `provenance.json`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hfi_core.errors import UserError
from hfi_core.evaluation.definitions import SHARES
from hfi_core.io.images import load_image
from hfi_core.io.json_files import read_jsonl
from hfi_core.io.tensors import load_arrays


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read the `reports/evaluation.json` that the stage compare wrote.

    Raises UserError if the file is missing.
    """
    if not path.exists():
        raise UserError(f"{path} is missing. To make it, run `hfi run`.")
    return json.loads(path.read_text(encoding="utf-8"))


RECORDS, FEATURES, PROVENANCE = "pictures.jsonl", "features.safetensors", "provenance.json"


def require_evaluated(folder: Path) -> None:
    """Raise UserError if the evaluation of a variant is missing from its folder."""
    if not (folder / RECORDS).exists():
        raise UserError(f"{folder} is missing. To make it: `hfi run`.")


@dataclass(frozen=True)
class EvaluatedVariant:
    """The evaluation of one variant: the base model or the result of one removal."""

    name: str
    folder: Path
    records: Sequence[dict[str, Any]]
    """The lines of `pictures.jsonl`."""
    features: np.ndarray
    """CLIP features (N, D), one line a record."""
    provenance: dict[str, Any]

    @cached_property
    def positions(self) -> dict[str, np.ndarray]:
        """Positions in `records` and `features`, by suite."""
        suites = np.array([record["suite"] for record in self.records])
        return {suite: np.flatnonzero(suites == suite) for suite in dict.fromkeys(suites.tolist())}

    def column(self, suite: str, field: str) -> np.ndarray:
        """Return one field of a suite's records."""
        return np.array([self.records[i][field] for i in self.positions[suite]])

    def iterate_pictures(self, suite: str) -> Iterator[np.ndarray]:
        """Load a suite's pictures one at a time, each uint8 (H, W, 3): all at once could need gigabytes."""
        return (self.load_picture(suite, index) for index in self.column(suite, "index"))

    def load_picture(self, suite: str, index: int) -> np.ndarray:
        """Load one picture, uint8 (H, W, 3)."""
        return load_image(self.folder / f"pictures/{suite}/{index:05d}.png")


def is_judged(figure: str, suite: str, variant: EvaluatedVariant) -> bool:
    """Return whether the judge says what a figure needs: some see no kinds or strength, or read no prompts."""
    field = "kind" if figure == "kinds" else figure
    return field not in ("kind", "strength", *SHARES) or None not in variant.column(suite, field).tolist()


def read_variant(folder: Path) -> EvaluatedVariant:
    """Read the evaluation of one variant.

    Raises UserError if a file is missing or cannot be parsed.
    """
    records = read_jsonl(folder / RECORDS)
    features = load_arrays(folder / FEATURES)["features"]
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / PROVENANCE} cannot be read ({error}). Run the stage evaluate again.") from error
    return EvaluatedVariant(folder.name, folder, records, features, provenance)


def read_variants(folder: Path, names: Sequence[str]) -> list[EvaluatedVariant]:
    """Read the evaluations of several variants, `base` first.

    What attacks found may differ between rows.

    Raises UserError if one is missing, or was drawn at other prompts or seeds than base.
    """
    variants = [read_variant(folder / name) for name in sorted(names, key=lambda name: name != "base")]
    requests = [
        [
            (r["suite"], r["index"], r["prompt"], r["seed"], r["guidance"])
            for r in variant.records
            if r["attacker"] is None
        ]
        for variant in variants
    ]
    for variant, requested in zip(variants, requests, strict=True):
        if requested != requests[0]:
            raise UserError(
                f"{variant.folder} was drawn at other prompts or seeds than base. Run the stage evaluate for both."
            )
    return variants
