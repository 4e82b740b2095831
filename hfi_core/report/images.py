"""Prepare pictures for the report page and the banner: the same prompts and seeds for every variant."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.io.images import save_image

MAX_SIDE = 128
"""Maximum side in pixels. Larger pictures are reduced to it and stored as JPEG."""
PICTURES_PER_SUITE = 12
"""Pictures of a variant on the report page."""


@dataclass(frozen=True)
class Thumbnail:
    """One picture with its prompt and its verdict."""

    uri: str
    prompt: str
    seed: int
    verdict: str


@dataclass(frozen=True)
class PictureStrip:
    """Pictures of one variant and one suite."""

    variant: str
    pictures: list[Thumbnail]


def build_strips(
    variants: Sequence[EvaluatedVariant], suite: str, count: int = PICTURES_PER_SUITE
) -> list[PictureStrip]:
    """Return one strip a variant: the first seed of each prompt, then the second, and so on."""
    shared = min(len(variant.positions[suite]) for variant in variants)  # an attack may find more in one row
    positions = select_round_robin(variants[0].column(suite, "prompt")[:shared], count)
    return [
        PictureStrip(variant.name, [_make_thumbnail(variant, suite, position) for position in positions])
        for variant in variants
    ]


def select_round_robin(prompts: Iterable[str], count: int) -> list[int]:
    """Return the positions of `count` pictures: the first picture of each prompt, then the second, and so on."""
    counts: Counter[str] = Counter()
    turns = []
    for position, prompt in enumerate(prompts):
        turns.append((counts[prompt], position))
        counts[prompt] += 1
    return [position for _, position in sorted(turns)[:count]]


def data_uri(content: bytes, media_type: str) -> str:
    """Return the content as a `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _make_thumbnail(variant: EvaluatedVariant, suite: str, position: int) -> Thumbnail:
    record = variant.records[variant.positions[suite][position]]
    return Thumbnail(
        uri=picture_uri(variant.load_picture(suite, record["index"])),
        prompt=record["prompt"],
        seed=record["seed"],
        verdict=describe_verdict(record),
    )


def describe_verdict(record: dict) -> str:
    """Return one word for a picture's verdict."""
    if not record["readable"]:
        return "unreadable"
    if record["flagged"]:
        return "flagged"
    if record["kept"]:
        return "kept"
    return "correct" if record["correct"] else "other"


def picture_uri(pixels: np.ndarray) -> str:
    """Return a picture uint8 (H, W, 3) as a `data:` URL: a small picture exactly, a large one reduced."""
    image, stream = Image.fromarray(pixels), io.BytesIO()
    if max(image.size) <= MAX_SIDE:
        image.save(stream, format="PNG", optimize=True)
        return data_uri(stream.getvalue(), "image/png")
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    image.save(stream, format="JPEG", quality=88)
    return data_uri(stream.getvalue(), "image/jpeg")


_BANNER_PICTURES = 8
_SIDE, _GAP, _MARGIN, _CAPTION_HEIGHT = 128, 8, 20, 34
"""Pixels."""
_PAPER, _INK = (255, 255, 255), (29, 33, 41)


def write_banner(path: Path, base: EvaluatedVariant, released: EvaluatedVariant, suite: str) -> None:
    """Write a PNG with a strip of a suite's pictures of each variant."""
    positions = select_round_robin(base.column(suite, "prompt"), _BANNER_PICTURES)
    width = 2 * _MARGIN + len(positions) * (_SIDE + _GAP) - _GAP
    height = 2 * _MARGIN + 2 * (_CAPTION_HEIGHT + _SIDE) + _GAP
    canvas = Image.new("RGB", (width, height), _PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(17)
    captions = ("Before: the base model", f"After: {released.name}, same prompts, same seeds")
    for line, (variant, caption) in enumerate(zip((base, released), captions, strict=True)):
        top = _MARGIN + line * (_CAPTION_HEIGHT + _SIDE + _GAP)
        pen.text((_MARGIN, top), caption, fill=_INK, font=font)
        for column, position in enumerate(positions):
            picture = variant.load_picture(suite, int(variant.column(suite, "index")[position]))
            canvas.paste(_resize(picture), (_MARGIN + column * (_SIDE + _GAP), top + _CAPTION_HEIGHT - 4))
    save_image(path, np.asarray(canvas))


def _resize(pixels: np.ndarray) -> Image.Image:
    """Enlarge a picture without smoothing, or reduce it with smoothing."""
    image = Image.fromarray(pixels)
    enlarged = max(image.size) <= _SIDE
    return image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)
