"""A small project with drawn candidates and no model, and its annotation server in a process of its own."""

import io
import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.store import open_store
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_jsonl
from hfi_core.params import Params, load_params
from tests.support.projects import default_raw, read_raw, write_raw
from tests.support.servers import free_port, wait_until_free
from tests.support.waiting import PATIENCE

_SAMPLER = {"scheduler": "dpm++", "steps": 2, "guidance": 3.0}
_BADGE = {"initial": {"objectionable": "badge", "accepted": "badge"}}


@dataclass
class AnnotationProject:
    """A project's folder with candidates, and the judgements in its store."""

    folder: Path
    pictures: dict[str, list[Candidate]] = field(default_factory=dict)

    @property
    def params(self) -> Params:
        """The present content of params.yaml."""
        return load_params(self.folder / "params.yaml")

    def edit(self, **annotation: Any) -> None:
        """Set keys of `annotation` in operations.yaml."""
        raw = read_raw(self.folder)
        raw["annotation"] |= annotation
        write_raw(self.folder, raw)

    def draw(
        self, concept: str, count: int, prompt: str = "a badge", prefix: str | None = None, size: int = 96
    ) -> None:
        """Give a concept candidates; the same prefix gives the same pictures."""
        folder, rows = self.folder / "candidates" / concept, []
        for n in range(count):
            name = f"{prefix or concept}-{n:03d}"
            picture = folder / "pictures" / f"{name}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(_draw_png(f"{prefix or concept} {n}", size))
            rows.append(
                Candidate(
                    id=name, prompt=prompt, seed=n, sampler=_SAMPLER, model="none", sha256=sha256_of_file(picture)
                )
            )  # fmt: skip
        write_jsonl(folder / "manifest.jsonl", [row.model_dump(mode="json") for row in rows])
        self.pictures[concept] = rows

    def gold(self, concept: str, answers: dict[str, str]) -> None:
        """Write gold answers for some binary candidates."""
        digests = {candidate.id: candidate.sha256 for candidate in self.pictures[concept]}
        rows = [
            {"id": f"gold-{picture}", "annotator": "lead", "concept": concept, "kind": "binary", "picture": picture,
             "sha256": digests[picture], "answer": answer}
            for picture, answer in answers.items()
        ]  # fmt: skip
        write_jsonl(self.folder / "gold.jsonl", rows)
        self.edit(gold="gold.jsonl")

    def judgements(self, counting: bool = False) -> list:
        """Return the judgements in the store."""
        with open_store(f"sqlite:///{self.folder}/feedback.db") as store:
            return list(store.read_judgements(counting=counting))

    def rows(self) -> list[dict[str, Any]]:
        """Return the judgements in the store as JSON objects, in the order of the answers."""
        rows = [json.loads(judgement.model_dump_json()) for judgement in self.judgements()]
        return sorted(rows, key=lambda row: row["answered_at"])


def create_annotation_project(folder: Path, concepts: dict[str, str] | None = None) -> AnnotationProject:
    """Create a project with 12 candidates for each concept (name: kind). The default is one binary concept, badge."""
    raw = default_raw()
    raw["concepts"] = {
        name: _BADGE | {"text": name, "prompts": [f"a {name}"], "feedback": kind}
        for name, kind in (concepts or {"badge": "binary"}).items()
    }
    raw["candidates"]["drawn"] = dict.fromkeys(raw["concepts"], 8)
    raw["feedback"] |= {"simulated": {}, "store": True, "file": "data/feedback.jsonl"}
    folder.mkdir(parents=True, exist_ok=True)
    write_raw(folder, raw)
    project = AnnotationProject(folder)
    for name in raw["concepts"]:
        project.draw(name, 12)
    return project


@lru_cache(maxsize=256)
def _draw_png(seed: str, size: int) -> bytes:
    """Draw a disc on a gradient with noise, which costs as much to decode as a photograph; once for many projects."""
    random = np.random.default_rng(list(seed.encode()))
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    ground, ink = random.integers(90, 255, 3), random.integers(0, 220, 3)
    pixels = ground * (0.75 + 0.25 * y[..., None])
    inside = np.hypot(x - random.uniform(0.35, 0.65), y - random.uniform(0.35, 0.65)) < random.uniform(0.18, 0.32)
    pixels[inside] = ink
    pixels += random.normal(0, 5, pixels.shape)
    png = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(png, format="PNG")
    return png.getvalue()


class Server:
    """The annotation server in a uvicorn process, which can be killed and started again on the same port."""

    def __init__(self, project: AnnotationProject, log: Path, environment: Mapping[str, str]):
        self.project, self._log, self._environment = project, log, environment
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    def start(self) -> "Server":
        """Start and wait until it answers."""
        command = ["python", "-m", "tests.support.annotation_process", str(self.project.folder), str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment, cwd=self.project.folder
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/static/mark.svg", timeout=5).close()
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the page did not start:\n{self._log.read_text()}")

    def kill(self) -> None:
        """End it as a power cut would: -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            wait_until_free(self.port)
