"""Write and read the curve of a training run, `steps.csv`. DVC plots it, and MLflow records its metrics."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from hfi_core.io.atomic import atomic_file


def write_training_curve(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write columns of equal length by name, after a first column with the step (from 0)."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", *columns])
        for step, values in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([step, *(f"{float(value):.6g}" for value in values)])


def read_losses(models: Path, variants: list[str]) -> dict[str, tuple[list[float], list[float]]]:
    """Return the steps and the losses of each model variant that has a curve."""
    losses = {}
    for variant in variants:
        path = models / variant / "steps.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as stream:
                lines = list(csv.DictReader(stream))
            losses[variant] = [float(line["step"]) for line in lines], [float(line["loss"]) for line in lines]
    return losses
