"""Every measured figure that a page quotes is in a file of docs/benchmarks, which the benchmarks write."""

import importlib
import re
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES, run
from benchmarks.results import Figure, Result, read_result, result_path, write_result
from tests.support.projects import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
FILES = sorted((DOCS / "benchmarks").glob("*.json"))
QUOTED = re.compile(r'\[([^\[\]]+)\]\(([^()\s]+\.json)\s+"([^"]+)"\)')
"""A figure of a page: `[3.2 s](benchmarks/removal_speed.json "name of the figure")`."""
NUMBER = r"-?\d*\.?\d+"
SPELLED = re.compile(
    rf"(?P<value>{NUMBER})(?: \((?P<low>{NUMBER}) to (?P<high>{NUMBER})\))?(?P<unit> [a-zA-Z%]+)?(?:, n (?P<n>\d+))?"
)
SETTINGS = r"`[^`]*`|Diffusion 1\.\d|AUC of 0\.\d+|Python [\d.]+|torch [\d.]+"
"""Decimals that are no measured figures: code, names, targets and versions."""
QUOTES = [
    pytest.param(path, *quote, id=f"{path.name}: {quote[2]}")
    for path in sorted(DOCS.rglob("*.md"))
    for quote in QUOTED.findall(path.read_text(encoding="utf-8"))
]


def agrees(spelled: str, measured: float | None, scale: float) -> bool:
    """Whether a number is the measured one, rounded to the decimals that it has."""
    half_a_digit = 0.5 * 10 ** -len(spelled.partition(".")[2])
    return measured is not None and abs(scale * measured - float(spelled)) <= half_a_digit * (1 + 1e-9)


@pytest.mark.parametrize(("page", "text", "file", "name"), QUOTES)
def test_a_quoted_figure_is_that_of_the_file(page: Path, text: str, file: str, name: str):
    figure = read_result(page.parent / file).figures[name]
    spelled = SPELLED.fullmatch(text)
    assert spelled, f"{text!r} does not read like `3.2 (2.1 to 4.0) s, n 20`"
    scale = 100 if spelled["unit"] == " %" else 1
    for part in ("value", "low", "high"):
        if spelled[part]:
            assert agrees(spelled[part], getattr(figure, part), scale), (part, figure)
    assert spelled["n"] is None or int(spelled["n"]) == figure.n


def test_the_page_quotes_every_file_and_nothing_without_a_file():
    assert {DOCS / file for _, file, _ in QUOTED.findall(PAGE)} == set(FILES)
    assert not re.findall(r"\d*\.\d+", re.sub(SETTINGS, "", QUOTED.sub("", PAGE)))


def test_the_page_has_the_command_of_every_benchmark_and_the_machine_of_every_file():
    assert re.findall(r"`python -m benchmarks ([a-z_]+)`", PAGE) == list(NAMES)
    assert re.search(r"^bench:.*\n\tpython -m benchmarks$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    machines = re.findall(r"^- \*\*Machine [A-Z]\*\*: (.+)\.$", PAGE, re.MULTILINE)
    assert set(machines) == {read_result(path).machine for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_of_a_benchmark_and_reads_as_it_was_written(path: Path, tmp_path: Path):
    assert path.stem.split("-")[0] in NAMES
    result = read_result(path)
    assert result.figures and result.method
    for figure in result.figures.values():
        assert figure.low is None or figure.low <= figure.value <= figure.high
    write_result(tmp_path / path.name, result)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_has_a_function_that_measures_and_says_what(name: str):
    benchmark = importlib.import_module(f"benchmarks.{name}")
    assert callable(benchmark.measure) and re.match(r"(Measure|Count) ", benchmark.__doc__)


def test_a_run_replaces_its_own_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    other = Result("Measure something else.", "a machine", None, {"seconds": Figure(1.0)})
    write_result(result_path("memory"), other)
    write_result(result_path("sampling_speed"), other)
    before = result_path("memory").read_bytes()
    figures = {"share": Figure(1 / 3, 0.25, 0.5, n=12), "steps": Figure(4)}
    monkeypatch.setattr("benchmarks.sampling_speed.measure", lambda: figures)

    run("sampling_speed", gpu="")
    run("sampling_speed", gpu="NVIDIA H200")

    written = read_result(Path("docs/benchmarks/sampling_speed.json"))
    assert written.figures == {"share": Figure(0.333333, 0.25, 0.5, 12), "steps": Figure(4)}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", written.date) and "cores" in written.machine
    assert written.method.startswith("Measure pictures per second")
    assert read_result(Path("docs/benchmarks/sampling_speed-nvidia-h200.json")) == written
    assert result_path("memory").read_bytes() == before
