"""Run every benchmark in turn (`make bench`), or those that are named (`python -m benchmarks NAME ...`).

Each writes its own file in docs/benchmarks as soon as it ends; the other files stay as they are. A run on a GPU
(`HFI_DEVICE=cuda`) writes files of its own, whose names end with the GPU's.
"""

import importlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.results import Figure, Result, result_path, write_result

NAMES = (
    "orchestration_overhead", "sampling_speed", "inversion_speed", "removal_speed", "equal_removal",
    "distillation_memory", "annotation_latency", "active_selection", "full_size_models",
)  # fmt: skip
NEEDS_A_GPU = ("full_size_models",)
ON_PROCESSORS = ("distillation_memory", "annotation_latency")
"""Whatever the project's device is."""


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all of them."""
    if unknown := set(names) - set(NAMES):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}. The benchmarks are {', '.join(NAMES)}.")
    if not Path("dvc.lock").exists():
        sys.exit("The benchmarks need a project in which `hfi run` has finished: run `make demo` first.")
    gpu = machine.gpu_name()
    for name in names or NAMES:
        if name in NEEDS_A_GPU and not gpu:
            print(f"\n{name} is skipped: it needs a GPU (HFI_DEVICE=cuda).", flush=True)
        else:
            run(name, "" if name in ON_PROCESSORS else gpu)


def run(name: str, gpu: str) -> None:
    """Run one benchmark, print its figures and write its file."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    title, _, explanation = benchmark.__doc__.partition("\n")
    print(f"\n{title}\n{machine.describe()}", flush=True)
    figures = benchmark.measure()
    for figure, measured in figures.items():
        print(f"{figure:64} {_spelled(measured)}", flush=True)
    method = " ".join((title + explanation).split())
    date = datetime.now(UTC).date().isoformat()
    write_result(result_path(name, gpu), Result(method, machine.describe(), date, figures))


def _spelled(figure: Figure) -> str:
    interval = f" [{figure.low:.3f}, {figure.high:.3f}]" if figure.low is not None else ""
    return f"{figure.value:.3f}{interval}" + (f", n {figure.n}" if figure.n is not None else "")


if __name__ == "__main__":
    main(sys.argv[1:])
