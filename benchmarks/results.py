"""Write what a benchmark measured as one JSON file in docs/benchmarks, from which docs/benchmarks.md quotes."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hfi_core.io.atomic import atomic_file

FOLDER = Path("docs/benchmarks")
_DIGITS = 6
"""Significant digits of a figure in the file."""


@dataclass(frozen=True)
class Figure:
    """One measured figure; its name, in the file, says its unit."""

    value: float
    low: float | None = None
    """Lower end of the 95 % interval, where there is one."""
    high: float | None = None
    n: int | None = None
    """Pictures, saves, seeds or repetitions that the figure is of, where it is of several."""


@dataclass(frozen=True)
class Result:
    """One run of one benchmark."""

    method: str
    """What was measured, and how."""
    machine: str
    date: str | None
    """Of the run, as YYYY-MM-DD; None where nobody noted it."""
    figures: Mapping[str, Figure]
    remark: str | None = None
    """What a reader of this run must know besides."""


def result_path(name: str, gpu: str = "") -> Path:
    """Name the file of a benchmark; a GPU has files of its own."""
    suffix = "-" + re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") if gpu else ""
    return FOLDER / f"{name}{suffix}.json"


def write_result(path: Path, result: Result) -> None:
    """Replace the file of one benchmark, one figure a line."""
    about = {key: getattr(result, key) for key in ("method", "machine", "date", "remark")}
    lines = [f"  {_dumps(key)}: {_dumps(value)}" for key, value in about.items() if key != "remark" or value]
    rows = [f"    {_dumps(name)}: {_dumps(_rounded(figure))}" for name, figure in result.figures.items()]
    lines.append('  "figures": {\n' + ",\n".join(rows) + "\n  }")
    with atomic_file(path) as beside:
        beside.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_result(path: Path) -> Result:
    """Read what `write_result` wrote."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Result(**raw | {"figures": {name: Figure(**figure) for name, figure in raw["figures"].items()}})


def _rounded(figure: Figure) -> dict[str, float]:
    present = {key: value for key, value in asdict(figure).items() if value is not None}
    return {key: value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}") for key, value in present.items()}


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
