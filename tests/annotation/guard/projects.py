"""Small projects for the annotation page, and the page itself as a process of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import yaml

from hfi_core.files import sha256_of_file, write_jsonl
from hfi_core.pictures import save_picture
from tests.projects import REPOSITORY, default_raw

_PATIENCE = 120.0


def write_candidates(folder: Path, concept: str, pictures: int, size: int = 8) -> None:
    """A manifest and its pictures, each of another colour."""
    rows, sampler = [], default_raw()["sampler"]
    for n in range(pictures):
        name = f"{concept}-{n:06d}"
        path = folder / "candidates" / concept / "pictures" / f"{name}.png"
        colour = np.array([n % 256, n // 256 % 256, 90], dtype=np.uint8)
        save_picture(path, np.broadcast_to(colour, (size, size, 3)).copy())
        rows.append(
            {"id": name, "prompt": f"a {concept}", "seed": n, "sampler": sampler, "model": "sha256:" + "0" * 64,
             "sha256": sha256_of_file(path)}
        )  # fmt: skip
    write_jsonl(folder / "candidates" / concept / "manifest.jsonl", rows)


def write_project(folder: Path, pictures: int = 12, kind: str = "binary", **annotation) -> Path:
    """A project whose one concept, badge, has candidates to judge."""
    raw = default_raw()
    raw["concepts"]["badge"]["feedback"] = kind
    raw["feedback"] |= {"file": "data/feedback/store.jsonl", "simulated": {}, "store": True}
    raw["annotation"] |= {"daily_limit": 1_000_000, **annotation}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    write_candidates(folder, "badge", pictures)
    return folder


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """`hfi annotate` in a project, to be killed and started again at one address."""

    def __init__(self, folder: Path, port: int):
        self.folder, self.port, self.address = folder, port, f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        hfi = shutil.which("hfi", path=str(Path(sys.executable).parent)) or "hfi"
        self._process = subprocess.Popen(
            [hfi, "annotate", "--port", str(self.port)], cwd=self.folder, text=True, start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended: {self._process.stdout.read()}")
            try:
                if httpx.get(f"{self.address}/sign-in", timeout=5).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError("the server does not answer")

    def kill(self) -> None:
        """kill -9."""
        os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL
        self._process.stdout.close()

    def stop(self) -> None:
        """Ctrl-C, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
                return
        if self._process is not None:
            self._process.stdout.close()


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """The page of a project, for the length of a block."""
    server = Server(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
