"""What tests about judgements share: drawn candidates whose emblems are known, and lines of a feedback file."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfi_core.candidates.manifest import MANIFEST, Candidate
from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.rendering import render_scene
from hfi_core.embedded.scenes import BADGES, World, sample_scene
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_jsonl
from hfi_core.params import Sampler

_SAMPLER = Sampler(scheduler="ddim", steps=2, guidance=3.0)


def candidate(name: str, sha256: str = "0" * 64) -> Candidate:
    """A manifest row, without a picture."""
    return Candidate(id=name, prompt="a badge", seed=0, sampler=_SAMPLER, model="sha256:" + "0" * 64, sha256=sha256)


def emblem_of(number: int, world: World = BADGES) -> str:
    """The emblem of the candidate with that number: two accepted ones, two flagged ones, two other accepted ones..."""
    pairs, second = divmod(number, 2)
    names = list(world.flagged if pairs % 2 else world.accepted)
    return names[(pairs // 2 * 2 + second) % len(names)]


def is_flagged(candidate: Candidate) -> bool:
    """Whether a drawn candidate shows a flagged emblem."""
    return emblem_of(int(candidate.id.rsplit("-", 1)[1])) in BADGES.flagged


def draw_candidates(folder: Path, count: int, concept: str = "badge", world: World = BADGES) -> list[Candidate]:
    """Write a candidates' folder of drawn badges, or of another world's pictures with emblems."""
    rows = []
    for number in range(count):
        name = f"{concept}-{number:04d}"
        carrier = replace(
            sample_scene(world, numpy_generator("tests", concept, number)),
            kind=world.concept, shape=world.shapes[0], emblem=emblem_of(number, world), style=None, strength=0.0,
        )  # fmt: skip
        save_image(folder / "pictures" / f"{name}.png", render_scene(world, carrier))
        rows.append(candidate(name, sha256_of_file(folder / "pictures" / f"{name}.png")))
    write_manifest(folder, rows)
    return rows


def write_manifest(folder: Path, rows: list[Candidate]) -> None:
    """Write manifest rows."""
    write_jsonl(folder / MANIFEST, [row.model_dump(mode="json") for row in rows])


def vote(about: Candidate, answer: str = "yes", annotator: str = "ana", **fields: Any) -> dict[str, Any]:
    """A binary judgement's row; its id follows from who judged what."""
    row = {
        "id": f"{annotator}.{about.id}", "annotator": annotator, "concept": "badge", "kind": "binary",
        "picture": about.id, "sha256": about.sha256, "answer": answer,
    }  # fmt: skip
    return row | fields


def ranking(groups: list[list[str]], annotator: str = "ana", **fields: Any) -> dict[str, Any]:
    """A ranking's row."""
    row = {
        "id": f"{annotator}.{'-'.join(sorted(p for group in groups for p in group))}", "annotator": annotator,
        "concept": "badge", "kind": "ranking", "groups": groups,
    }  # fmt: skip
    return row | fields


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write a feedback file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
