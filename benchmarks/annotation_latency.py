"""Measure how long an annotator waits for a save, alone and during imports of 100,000 rows.

50 people give 10 judgements a second. `hfi annotate` on SQLite, the people and the imports share two cores. A save is
timed from the moment at which it was due to the moment at which the page knows that it is durable. So the time in a
queue counts. People fetch their next questions as the page does, five ahead. The imports are `hfi feedback import` of
JSON Lines, one after the other, for as long as people judge. `flush` is the time that the disk alone needs to make a
small write durable, on the same machine.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.results import Figure
from hfi_core.candidates.manifest import MANIFEST, read_manifest
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_jsonl
from tests.support.annotation_server import serving, write_project
from tests.support.annotator import Annotator
from tests.support.projects import default_raw

PEOPLE = 50
A_SECOND = 10
SECONDS = 100
PICTURES = 10_000
ROWS = 100_000
CORES = 2
_AHEAD = 5


def _environment() -> dict[str, str]:
    """Put this Python's `hfi` first on the path."""
    return dict(os.environ) | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


class _Person(threading.Thread):
    """A person who answers at fixed times."""

    def __init__(self, annotator: Annotator, due: list[float]):
        super().__init__(daemon=True)
        self.annotator, self.due, self.waits = annotator, due, []

    def run(self) -> None:
        """Answer each question when it is due, then fetch more."""
        for at in self.due:
            time.sleep(max(0.0, at - time.perf_counter()))
            row = self.annotator.judgement(self.annotator.questions.popleft(), "yes")
            self.annotator.save(row)
            self.waits.append(time.perf_counter() - at)
            if len(self.annotator.questions) < _AHEAD:
                self.annotator.fetch(_AHEAD)


class _Imports(threading.Thread):
    """Imports, one after the other, until the people have finished."""

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self.folder, self.over, self.seconds, self.error = folder, threading.Event(), [], ""

    def run(self) -> None:
        """Import files whose rows are new to the project."""
        for path in sorted(self.folder.glob("import-*.jsonl")):
            if self.over.is_set():
                return
            began = time.perf_counter()
            done = subprocess.run(
                ["hfi", "feedback", "import", path.name],
                cwd=self.folder,
                env=_environment(),
                capture_output=True,
                text=True,
            )
            if done.returncode:
                self.error = done.stderr
                return
            self.seconds.append(time.perf_counter() - began)


def _project(folder: Path) -> Path:
    """Write a project with many small pictures, and files to import."""
    write_project(folder, pictures=1, judgements=100)
    pictures, sampler, rows = folder / "candidates" / "badge" / "pictures", default_raw()["sampler"], []
    for n in range(PICTURES):
        path = pictures / f"badge-{n:06d}.png"
        Image.new("RGB", (8, 8), (n % 256, n // 256, 90)).save(path)
        rows.append(
            {"id": path.stem, "prompt": "a badge", "seed": n, "sampler": sampler, "model": "sha256:" + "0" * 64,
             "sha256": sha256_of_file(path)}
        )  # fmt: skip
    write_jsonl(pictures.parent / MANIFEST, rows)
    candidates = read_manifest(pictures.parent)
    for number in range(8):
        with (folder / f"import-{number}.jsonl").open("w") as stream:
            for person in range(ROWS // PICTURES):
                who = f"import-{number}-{person}"
                for candidate in candidates:
                    row = {"id": f"{who}.{candidate.id}", "annotator": who, "concept": "badge", "kind": "binary",
                           "picture": candidate.id, "sha256": candidate.sha256, "answer": "no"}  # fmt: skip
                    stream.write(json.dumps(row) + "\n")
    return folder


def _save_times(people: list[Annotator], seconds: float) -> np.ndarray:
    """Time each save, in milliseconds."""
    begin, step = time.perf_counter() + 1, PEOPLE / A_SECOND
    threads = [
        _Person(annotator, [begin + n / A_SECOND + step * turn for turn in range(int(seconds / step))])
        for n, annotator in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waits = [wait for thread in threads for wait in thread.waits]
    assert len(waits) == sum(len(thread.due) for thread in threads), "somebody could not save"
    return 1000 * np.array(waits)


def _figures(name: str, waits: np.ndarray) -> dict[str, Figure]:
    percentiles = {"p50": 50, "p99": 99, "longest": 100}
    return {
        f"save {name} {key} ms": Figure(float(np.percentile(waits, percent)), n=len(waits))
        for key, percent in percentiles.items()
    }


def _flush(folder: Path) -> Figure:
    waits = []
    with (folder / "flushed").open("wb", buffering=0) as stream:
        for _ in range(200):
            began = time.perf_counter()
            stream.write(b"x" * 4096)
            os.fdatasync(stream.fileno())
            waits.append(time.perf_counter() - began)
    return Figure(1000 * float(np.percentile(waits, 99)), n=len(waits))


def measure() -> dict[str, Figure]:
    """Let people judge alone, then during imports."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:CORES]))
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = _project(Path(name) / "project")
            with serving(folder, _environment()) as server:
                people = [Annotator(server.address, f"person {n}") for n in range(PEOPLE)]
                for annotator in people:
                    annotator.sign_in()
                    annotator.fetch(_AHEAD)
                figures = _figures("alone", _save_times(people, SECONDS))
                imports = _Imports(folder)
                imports.start()
                figures |= _figures("beside an import", _save_times(people, SECONDS))
                imports.over.set()
                imports.join()
            assert not imports.error, imports.error
            figures |= {
                f"import of {ROWS} rows seconds": Figure(float(np.mean(imports.seconds)), n=len(imports.seconds)),
                "flush p99 ms": _flush(folder),
            }
    finally:
        os.sched_setaffinity(0, allowed)
    return figures
