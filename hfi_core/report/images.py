"""Pictures for a page that is one file: small, inside it, and the same from every row at equal seeds."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.io.images import save_image

MAX_SIDE = 128
"""Pictures with longer sides are reduced to this many pixels and kept as JPEG."""
PICTURES_PER_SUITE = 12


@dataclass(frozen=True)
class Thumbnail:
    """One picture, what was asked for, and what the judge said."""

    uri: str
    prompt: str
    seed: int
    verdict: str


@dataclass(frozen=True)
class Strip:
    """A row's pictures of one suite."""

    row: str
    pictures: list[Thumbnail]


def build_strips(rows: Sequence[EvaluatedVariant], suite: str, count: int = PICTURES_PER_SUITE) -> list[Strip]:
    """The same few pictures from every row: the first seed of each prompt, then the second, and so on."""
    chosen = select_round_robin(rows[0].column(suite, "prompt"), count)
    return [Strip(row.row, [_thumbnail(row, suite, place) for place in chosen]) for row in rows]


def select_round_robin(prompts: Sequence[str], count: int) -> list[int]:
    """Places of `count` pictures that take turns between the prompts, in the order in which the suite has them."""
    seen: dict[str, int] = {}
    turns = []
    for place, prompt in enumerate(prompts):
        turns.append((seen.get(prompt, 0), place))
        seen[prompt] = seen.get(prompt, 0) + 1
    return [place for _, place in sorted(turns)[:count]]


def data_uri(content: bytes, kind: str) -> str:
    """Content as a `data:` address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _thumbnail(row: EvaluatedVariant, suite: str, place: int) -> Thumbnail:
    record = row.records[row.places[suite][place]]
    return Thumbnail(
        uri=picture_uri(row.picture(suite, record["index"])),
        prompt=record["prompt"],
        seed=record["seed"],
        verdict=describe_verdict(record),
    )


def describe_verdict(record: dict) -> str:
    """One word for a picture's verdict."""
    if not record["readable"]:
        return "unreadable"
    if record["flagged"]:
        return "flagged"
    if record["kept"]:
        return "kept"
    return "correct" if record["correct"] else "other"


def picture_uri(pixels: np.ndarray) -> str:
    """A picture as a `data:` address: small ones exactly, large ones reduced."""
    image, stream = Image.fromarray(pixels), io.BytesIO()
    if max(image.size) <= MAX_SIDE:
        image.save(stream, format="PNG", optimize=True)
        return data_uri(stream.getvalue(), "image/png")
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    image.save(stream, format="JPEG", quality=88)
    return data_uri(stream.getvalue(), "image/jpeg")


_COUNT = 8
_SIDE = 128
_GAP = 8
_MARGIN = 20
_CAPTION = 34
_PAPER, _INK = (255, 255, 255), (29, 33, 41)


def write_banner(path: Path, base: EvaluatedVariant, released: EvaluatedVariant) -> None:
    """Draw the first broad pictures of both rows, enlarged without smoothing or reduced with it."""
    chosen = select_round_robin(base.column("broad", "prompt"), _COUNT)
    width = 2 * _MARGIN + len(chosen) * (_SIDE + _GAP) - _GAP
    height = 2 * _MARGIN + 2 * (_CAPTION + _SIDE) + _GAP
    canvas = Image.new("RGB", (width, height), _PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(17)
    captions = ("Before: the base model", f"After: {released.row}, same prompts, same seeds")
    for line, (row, caption) in enumerate(zip((base, released), captions, strict=True)):
        top = _MARGIN + line * (_CAPTION + _SIDE + _GAP)
        pen.text((_MARGIN, top), caption, fill=_INK, font=font)
        for column, place in enumerate(chosen):
            picture = row.picture("broad", int(row.column("broad", "index")[place]))
            canvas.paste(_fitted(picture), (_MARGIN + column * (_SIDE + _GAP), top + _CAPTION - 4))
    save_image(path, np.asarray(canvas))


def _fitted(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels)
    enlarged = max(image.size) <= _SIDE
    return image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)
