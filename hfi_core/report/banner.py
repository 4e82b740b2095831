"""One picture for a README: base above, the released row below, at equal seeds."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hfi_core.evaluation.shots import Evaluated
from hfi_core.io.images import save_picture
from hfi_core.report.images import spread

_COUNT = 8
_SIDE = 128
_GAP = 8
_MARGIN = 20
_CAPTION = 34
_PAPER, _INK = (255, 255, 255), (29, 33, 41)


def write_banner(path: Path, base: Evaluated, released: Evaluated) -> None:
    """Draw the first broad pictures of both rows, enlarged without smoothing or reduced with it."""
    chosen = spread(base.column("broad", "prompt"), _COUNT)
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
    save_picture(path, np.asarray(canvas))


def _fitted(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels)
    enlarged = max(image.size) <= _SIDE
    return image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)
