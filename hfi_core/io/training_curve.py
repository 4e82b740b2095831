"""The curve of a training run as `steps.csv`: DVC plots it, MLflow takes its metrics."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from hfi_core.io.atomic import whole_file


def write_steps(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write columns of equal length under their names, with the step (from 0) in front."""
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", *columns])
        for step, values in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([step, *(f"{float(value):.6g}" for value in values)])
