"""Write a page that compares two releases: figures, and pictures at equal prompts and seeds."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from hfi_core.io.atomic import atomic_file
from hfi_core.report.images import picture_uri


@dataclass(frozen=True)
class ComparedRelease:
    """A release on the page: its name and whether its gates passed."""

    name: str
    gates: str


@dataclass(frozen=True)
class PicturePair:
    """Pictures (PNG) of both releases for the same prompt and seed."""

    suite: str
    prompt: str
    seed: int
    first: bytes
    second: bytes


def write_side_by_side(
    path: Path,
    releases: Sequence[ComparedRelease],
    table: Sequence[tuple[str, str, str, str]],
    pairs: Sequence[PicturePair],
) -> None:
    """Write the page as a single HTML file. Rows of `table`: metric, first value, second value, difference."""
    text = (files("hfi_core.report") / "templates" / "side_by_side.html").read_text(encoding="utf-8")
    template = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True).from_string(text)
    suites: dict[str, list[dict]] = {}
    for pair in pairs:
        uris = [_uri(pair.first), _uri(pair.second)]
        suites.setdefault(pair.suite, []).append({"prompt": pair.prompt, "seed": pair.seed, "uris": uris})
    with atomic_file(path) as beside:
        beside.write_text(template.render(releases=releases, table=table, suites=suites), encoding="utf-8")


def _uri(png: bytes) -> str:
    with Image.open(io.BytesIO(png)) as image:
        return picture_uri(np.asarray(image.convert("RGB")))
