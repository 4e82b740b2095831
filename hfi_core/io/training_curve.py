"""The curve of a training run as `steps.csv`: DVC plots it, MLflow takes its metrics."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from hfi_core.io.atomic import atomic_file


def write_steps(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write columns of equal length under their names, with the step (from 0) in front."""
    with atomic_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", *columns])
        for step, values in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([step, *(f"{float(value):.6g}" for value in values)])


def read_losses(models: Path, rows: list[str]) -> dict[str, tuple[list[float], list[float]]]:
    """The loss of each row that has one."""
    found = {}
    for row in rows:
        path = models / row / "steps.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as stream:
                lines = list(csv.DictReader(stream))
            found[row] = [float(line["step"]) for line in lines], [float(line["loss"]) for line in lines]
    return found
