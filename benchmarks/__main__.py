"""`make bench`: every benchmark in turn, each in its own section of docs/benchmarks.md.

`python -m benchmarks NAME ...` runs those alone and leaves the other sections as they are. What is computed on a GPU
(`HFI_DEVICE=cuda`) has sections of its own, which name it.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import machine
from hfi_core.io.atomic import whole_file

PAGE = Path("docs/benchmarks.md")
NAMES = (
    "orchestration_overhead", "sampling_speed", "removal_speed", "equal_removal", "distillation_memory",
    "annotation_latency", "active_selection", "full_size_models",
)  # fmt: skip
NEEDS_A_GPU = ("full_size_models",)
ON_PROCESSORS = ("distillation_memory", "annotation_latency")
"""Whatever the project's device is."""
_HEAD = """# Benchmarks

Written by `make bench`, a section a benchmark, in a project in which `hfi run` has finished. Every figure is of one
run; compare only what stands in one table.
"""


def main() -> None:
    """Run those named, or all; each writes its section as soon as it ends."""
    names = sys.argv[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"No benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    if not Path("dvc.lock").exists():
        sys.exit("The benchmarks need a finished project: run `make demo` first.")
    gpu = machine.gpu()
    for name in names:
        if name in NEEDS_A_GPU and not gpu:
            print(f"\n{name} is left out: it needs a GPU (HFI_DEVICE=cuda).", flush=True)
            continue
        benchmark = importlib.import_module(f"benchmarks.{name}")
        title, *rest = benchmark.__doc__.strip().split("\n", 1)
        print(f"\n{title}", flush=True)
        _write(_title(name, "" if name in ON_PROCESSORS else gpu), _section([title, *rest], benchmark.main()))


def _title(name: str, gpu: str = "") -> str:
    return name.replace("_", " ").capitalize() + (f" ({gpu})" if gpu else "")


def _section(parts: list[str], figures: Mapping[str, float]) -> str:
    text = " ".join(line.strip() for part in parts for line in part.splitlines() if line.strip())
    rows = [f"| {key.replace('_', ' ')} | {value:.3f} |" for key, value in figures.items()]
    return "\n".join([text, "", f"On {machine.describe()}.", "", "| figure | value |", "| --- | --- |", *rows])


def _write(title: str, section: str) -> None:
    """Put a section in its place; the others stay."""
    sections = {}
    if PAGE.exists():
        for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
            name, body = part.split("\n", 1)
            sections[name] = body.strip()
    sections[title] = section
    first = {_title(name): place for place, name in enumerate(NAMES)}
    titles = sorted(sections, key=lambda title: (first[title.split(" (")[0]], title))
    ordered = [f"## {title}\n\n{sections[title]}\n" for title in titles]
    with whole_file(PAGE) as beside:
        beside.write_text("\n".join([_HEAD, *ordered]), encoding="utf-8")


if __name__ == "__main__":
    main()
