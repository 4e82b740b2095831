"""`make bench`: every benchmark in turn, and their figures in docs/benchmarks.md."""

from pathlib import Path

from benchmarks import annotation, equal_removal, memory, orchestration, removal_speed, sampling_speed
from benchmarks.machine import describe
from hfi_core.files import whole_file

PAGE = Path("docs/benchmarks.md")


def main() -> None:
    """Run them and write the page; needs a project in which `hfi run` has finished."""
    parts = []
    for benchmark in (sampling_speed, removal_speed, equal_removal, memory, orchestration, annotation):
        title, *rest = benchmark.__doc__.strip().split("\n", 1)
        print(f"\n{title}", flush=True)
        figures = benchmark.main()
        rows = [f"| {key.replace('_', ' ')} | {value:.3f} |" for key, value in figures.items()]
        name = benchmark.__name__.rsplit(".", 1)[-1].replace("_", " ").capitalize()
        text = " ".join([title, *(line.strip() for part in rest for line in part.splitlines())]).strip()
        parts.append("\n".join([f"## {name}", "", text, "", "| figure | value |", "| --- | --- |", *rows, ""]))
    head = (
        f"# Benchmarks\n\nWritten by `make bench` on: {describe()}. One run; compare only what stands in one table.\n\n"
    )
    with whole_file(PAGE) as beside:
        beside.write_text(head + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
