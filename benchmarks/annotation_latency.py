"""What an annotator waits for: 50 people give 10 judgements a second, alone and beside imports of 100,000 rows.

`hfi annotate` on SQLite, the people and the imports share two cores. A save is timed from the moment at which it was
due to the moment at which the page knows that it is durable, so that a queue counts. People ask for their next
questions as the page does, five ahead. Imports are `hfi feedback import` of JSON Lines, one after the other for as long
as people judge. `flush` is how long the disk alone takes to make a small write durable, on the same machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

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


class _Person(threading.Thread):
    """Somebody who answers at fixed times."""

    def __init__(self, annotator: Annotator, due: list[float]):
        super().__init__(daemon=True)
        self.annotator, self.due, self.waits = annotator, due, []

    def run(self) -> None:
        """Answer when it is due; then ask for more."""
        for at in self.due:
            time.sleep(max(0.0, at - time.perf_counter()))
            row = self.annotator.judgement(self.annotator.questions.popleft(), "yes")
            self.annotator.save(row)
            self.waits.append(time.perf_counter() - at)
            if len(self.annotator.questions) < _AHEAD:
                self.annotator.fetch(_AHEAD)


class _Imports(threading.Thread):
    """One import after the other until it is over."""

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self.folder, self.over, self.seconds, self.error = folder, threading.Event(), [], ""

    def run(self) -> None:
        """Import files that nobody has seen."""
        hfi = shutil.which("hfi", path=str(Path(sys.executable).parent)) or "hfi"
        for path in sorted(self.folder.glob("import-*.jsonl")):
            if self.over.is_set():
                return
            began = time.perf_counter()
            done = subprocess.run(
                [hfi, "feedback", "import", path.name], cwd=self.folder, capture_output=True, text=True
            )
            if done.returncode:
                self.error = done.stderr
                return
            self.seconds.append(time.perf_counter() - began)


def _project(folder: Path) -> Path:
    """A project with many small pictures, and files to import."""
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
                for one in candidates:
                    row = {"id": f"{who}.{one.id}", "annotator": who, "concept": "badge", "kind": "binary",
                           "picture": one.id, "sha256": one.sha256, "answer": "no"}  # fmt: skip
                    stream.write(json.dumps(row) + "\n")
    return folder


def _measure(people: list[Annotator], seconds: float) -> np.ndarray:
    """Milliseconds that each save took."""
    begin, step = time.perf_counter() + 1, PEOPLE / A_SECOND
    threads = [
        _Person(one, [begin + n / A_SECOND + step * turn for turn in range(int(seconds / step))])
        for n, one in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waits = [wait for thread in threads for wait in thread.waits]
    assert len(waits) == sum(len(thread.due) for thread in threads), "somebody could not save"
    return 1000 * np.array(waits)


def _figures(name: str, waits: np.ndarray) -> dict[str, float]:
    p50, p99, most = np.percentile(waits, [50, 99, 100])
    found = {"p50_ms": p50, "p99_ms": p99, "most_ms": most, "count": len(waits)}
    return {f"save_{name}_{key}": float(value) for key, value in found.items()}


def _flush(folder: Path) -> float:
    waits = []
    with (folder / "flushed").open("wb", buffering=0) as stream:
        for _ in range(200):
            began = time.perf_counter()
            stream.write(b"x" * 4096)
            os.fdatasync(stream.fileno())
            waits.append(time.perf_counter() - began)
    return 1000 * float(np.percentile(waits, 99))


def main() -> dict[str, float]:
    """Measure and print."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:CORES]))
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = _project(Path(name) / "project")
            with serving(folder) as server:
                people = [Annotator(server.address, f"person {n}") for n in range(PEOPLE)]
                for one in people:
                    one.enter()
                    one.fetch(_AHEAD)
                figures = _figures("alone", _measure(people, SECONDS))
                imports = _Imports(folder)
                imports.start()
                figures |= _figures("beside_an_import", _measure(people, SECONDS))
                imports.over.set()
                imports.join()
            assert not imports.error, imports.error
            figures |= {
                "imports": float(len(imports.seconds)),
                "import_of_100000_rows_seconds": float(np.mean(imports.seconds)),
                "flush_p99_ms": _flush(folder),
            }
    finally:
        os.sched_setaffinity(0, allowed)
    for key, value in figures.items():
        print(f"{key:32} {value:.3f}", flush=True)
    return figures


if __name__ == "__main__":
    main()
