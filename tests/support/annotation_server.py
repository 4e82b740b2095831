"""Small projects for the annotation server, and `hfi annotate` as a process."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from hfi_core.candidates.manifest import Candidate, read_manifest
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_jsonl
from tests.support.projects import default_raw, write_raw
from tests.support.servers import free_port, wait_until_free
from tests.support.waiting import PATIENCE


def write_candidates(folder: Path, concept: str, pictures: int, size: int = 8) -> None:
    """Write a manifest and its pictures, each with its own colour."""
    rows, sampler = [], default_raw()["sampler"]
    for n in range(pictures):
        name = f"{concept}-{n:06d}"
        path = folder / "candidates" / concept / "pictures" / f"{name}.png"
        colour = np.array([n % 256, n // 256 % 256, 90], dtype=np.uint8)
        save_image(path, np.broadcast_to(colour, (size, size, 3)).copy())
        rows.append(
            {"id": name, "prompt": f"a {concept}", "seed": n, "sampler": sampler, "model": "sha256:" + "0" * 64,
             "sha256": sha256_of_file(path)}
        )  # fmt: skip
    write_jsonl(folder / "candidates" / concept / "manifest.jsonl", rows)


def write_project(folder: Path, pictures: int = 12, kind: str = "binary", **annotation) -> Path:
    """Write a project whose only concept, badge, has candidates to judge."""
    raw = default_raw()
    raw["concepts"]["badge"]["feedback"] = kind
    raw["feedback"] |= {"file": "data/feedback/store.jsonl", "simulated": {}, "store": True}
    raw["annotation"] |= {"daily_limit": 1_000_000, **annotation}
    folder.mkdir(parents=True, exist_ok=True)
    write_raw(folder, raw)
    write_candidates(folder, "badge", pictures)
    return folder


def read_candidates(folder: Path) -> list[Candidate]:
    """Return the candidates of a project's only concept."""
    return read_manifest(folder / "candidates" / "badge")


class Server:
    """`hfi annotate` in a project. It can be killed and started again on the same port."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str], *options: str):
        self.folder, self.port, self.address = folder, port, f"http://127.0.0.1:{port}"
        self._environment, self._options, self._log = environment, options, folder / "server.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                ["hfi", "annotate", "--port", str(self.port), *self._options], cwd=self.folder, start_new_session=True,
                env=self._environment, stdout=log, stderr=subprocess.STDOUT,
                # Where the tests themselves run in the background, Ctrl-C is ignored, and children inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.output}")
            try:
                httpx.get(f"{self.address}/sign-in", timeout=5)
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError("the server does not answer")

    @property
    def output(self) -> str:
        """Everything that it printed."""
        return self._log.read_text()

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL
        wait_until_free(self.port)

    def stop(self) -> None:
        """Stop it as Ctrl-C does, if it runs."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def serving(folder: Path, environment: Mapping[str, str], *options: str) -> Iterator[Server]:
    """Run `hfi annotate` in a project for the length of a block."""
    server = Server(folder, free_port(), environment, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
