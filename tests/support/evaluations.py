"""Hand-made evaluations: random pictures and random verdicts, without a model."""

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfi_core.compute.seeding import numpy_generator
from hfi_core.evaluation.records import FEATURES, PROVENANCE, RECORDS
from hfi_core.evaluation.shots import Shot, list_shots
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_json, write_jsonl
from hfi_core.io.tensors import save_tensors
from hfi_core.judges.base import PictureVerdict
from hfi_core.params import Params, parse_params
from tests.support.attacks import write_tokens_found
from tests.support.projects import default_raw

Paint = Callable[[str, Shot, PictureVerdict], np.ndarray]
"""Makes the picture of a row and a shot that fits a verdict."""

_SUITES = ("broad", "precise", "neighbours", "unrelated", "unnamed", "synonyms", "reinverted")
CHANCES = {
    "base": dict(zip(_SUITES, (0.53, 0.98, 0.02, 0.0, 0.6, 0.5, 0.85), strict=True)),
    "sdd-text": dict(zip(_SUITES, (0.45, 0.96, 0.02, 0.0, 0.6, 0.45, 0.8), strict=True)),
    "sdd-token": dict(zip(_SUITES, (0.34, 0.93, 0.01, 0.0, 0.6, 0.4, 0.7), strict=True)),
    "anchored": dict(zip(_SUITES, (0.03, 0.03, 0.0, 0.0, 0.3, 0.1, 0.2), strict=True)),
}
"""How often each row's pictures are flagged, by suite."""


@dataclass(frozen=True)
class Files:
    """Paths of everything that the stage compare reads and writes."""

    folder: Path

    @property
    def inputs(self) -> dict[str, Path]:
        return {name: self.folder / name for name in ("evaluation", "labels", "reward", "tokens", "models")}

    def outputs(self, into: str = "reports") -> dict[str, Path]:
        names = {
            "evaluation": "evaluation.json", "metrics": "metrics.json", "table": "evaluation.csv", "plots": "plots",
            "page": "report.html",
        }  # fmt: skip
        return {name: self.folder / into / file for name, file in names.items()}


def small_params(**changes: Any) -> Params:
    """Return the repository's params with few pictures. `changes` replace top-level sections."""
    raw = default_raw()
    # Four prompts are enough here; the default project has eight.
    raw["evaluate"]["suites"]["synonyms"] = {"prompts": ["a pin", "a red pin", "a crest", "a blue crest"]}
    for suite in raw["evaluate"]["suites"].values():
        suite["pictures"] = 6
    raw["attacks"]["reinverted"] |= {"pictures": 16}
    raw["evaluate"] |= {"resamples": 200}
    return parse_params(raw | changes)


def noise(row: str, shot: Shot, verdict: PictureVerdict) -> np.ndarray:
    """Return a small random picture, nearly the same in every row."""
    pixels = numpy_generator("noise", shot.request).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    pixels[0, 0] = len(row)
    return pixels


def with_attack(params: Params, **changes: Any) -> Params:
    """Return params with other settings of the attack `reinverted`."""
    raw = params.model_dump(mode="json")
    raw["attacks"]["reinverted"] |= changes
    return parse_params(raw)


def write_files(folder: Path, params: Params, paint: Paint = noise, simulated: bool = True) -> Files:
    """Write the outputs of every stage before compare into a folder."""
    for row in params.removals:
        write_row(folder / "evaluation" / row, params, row, paint)
        _write_steps(folder / "models" / row / "steps.csv", row)
    for concept in params.concepts:
        _write_feedback(folder, concept, params.concepts[concept].feedback, simulated)
    return Files(folder)


def write_row(folder: Path, params: Params, row: str, paint: Paint = noise) -> None:
    records, features = [], []
    write_tokens_found(folder / "found", params)
    for shot in list_shots(params, folder / "found"):
        # The random numbers depend on the shot only, so that the rows are paired.
        rng = numpy_generator("luck", shot.request)
        flagged = rng.random() < CHANCES[row][shot.suite.partition(".")[0]]
        readable = rng.random() < 0.98
        verdict = PictureVerdict(
            flagged and readable, readable and not flagged and shot.suite != "unrelated", readable, readable
        )
        pixels = paint(row, shot, verdict)
        path = folder / shot.file
        save_image(path, pixels)
        records.append(
            asdict(verdict)
            | {"index": shot.index, "suite": shot.suite, "prompt": shot.request.prompt, "seed": shot.request.seed}
            | {"guidance": None, "attacker": shot.attacker, "kind": str(rng.choice(["star", "leaf"]))}
            | {"clip_score": round(0.7 + 0.1 * rng.random(), 6), "sha256": sha256_of_file(path)}
        )
        vector = rng.normal(size=8) + (row != "base") * 0.2 * numpy_generator(row, shot.request).normal(size=8)
        features.append(vector / np.linalg.norm(vector))
    write_jsonl(folder / RECORDS, records)
    save_tensors(folder / FEATURES, {"features": torch.tensor(np.array(features), dtype=torch.float32)})
    found = {name: {"sha256": "ef" * 32, "figures": {}} for name in params.attacks}
    judge = params.evaluate.judge.model_dump(mode="json", exclude={"source"})
    provenance = {"row": row, "weights_sha256": None, "attacks": found, "seed": params.seed, "judge": judge}
    write_json(folder / PROVENANCE, provenance)


def _write_steps(path: Path, row: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if row == "base":
        return
    rng = numpy_generator("steps", row)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", "loss"])
        writer.writerows([step, 0.01 / (1 + step / 20) * (1 + 0.3 * rng.random())] for step in range(120))


def _interval(value: float, n: int) -> dict[str, float]:
    return {"value": value, "low": value - 0.03, "high": value + 0.03, "n": n}


def _write_feedback(folder: Path, concept: str, kind: str, simulated: bool) -> None:
    rng = numpy_generator("feedback", concept)
    summary = {
        "concept": concept, "kind": kind, "simulated": simulated, "pictures": 500, "judgements": 1500, "annotators": 3,
        "cant_tell": 31, "agreement": {"krippendorff_alpha": 0.87, "kendalls_w": None}, "feedback_sha256": "ab" * 32,
        "objectionable_share": 0.52, "aggregation": "share of votes", "interval_level": 0.95, "warning": None,
        "agreement_intervals": {"krippendorff_alpha": _interval(0.87, 480), "kendalls_w": None},
        "by_annotator": {
            name: {"judgements": 500, "cant_tell": 10}
            | {share: _interval(0.9, 450) for share in ("accuracy", "yes_found", "no_found")}
            for name in ("crowd-1", "crowd-2", "crowd-3")
        },
    }  # fmt: skip
    write_json(folder / "labels" / concept / "summary.json", summary)
    binary = {"auc": 0.981, "accuracy": 0.943, "calibration_error": 0.041}
    figures = binary if kind == "binary" else {"pair_accuracy": 0.95, "spearman": 0.8}
    metrics = {name: {"value": value, "n": 60} for name, value in figures.items()}
    write_json(folder / "reward" / concept / "report.json", {"concept": concept, "kind": kind, "metrics": metrics})
    scores = []
    for i in range(120):
        label = float(rng.random() < 0.5)
        reward = round(float(np.clip(label + 0.25 * rng.normal(), -0.1, 1.1)), 6)
        scores.append({"picture": f"p{i:03d}", "reward": reward, "label": label, "split": ("train", "held_out")[i % 2]})
    write_jsonl(folder / "reward" / concept / "scores.jsonl", scores)
    order = sorted(scores, key=lambda score: score["label"])
    pairs = [{"above": b["picture"], "below": a["picture"], "weight": 1.0} for a, b in pairwise(order)]
    write_jsonl(folder / "labels" / concept / "pairs.jsonl", pairs if kind == "ranking" else [])
    sides = {"text": 0.53, "objectionable": 0.88, "accepted": 0.02}
    check = {side: {"mean_reward": share, "share_objectionable": share, "n": 32} for side, share in sides.items()}
    write_json(folder / "tokens" / concept / "check.json", {"pictures": check})
