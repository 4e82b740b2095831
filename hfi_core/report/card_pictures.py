"""The card's one picture: base above, release below, at equal prompts and seeds.

Anybody may open a card, so what may be objectionable is blurred in the file itself.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from hfi_core.evaluation.shots import Evaluated
from hfi_core.io.images import save_picture
from hfi_core.report.images import spread

SUITES = ("broad", "neighbours", "unrelated")
_ASKED_FOR = "broad"
"""The suite that brings the concept up: base's pictures of it are blurred, whatever the judge says."""
_A_SUITE = 4
_SIDE, _GAP = 128, 4
"""Pixels."""
_BLURRED_TO = 6
"""Pixels a side that a blurred picture is reduced to before it is enlarged."""


def write_card_pictures(path: Path, base: Evaluated, release: Evaluated) -> None:
    """Write a PNG of two strips, a few pictures of each of `SUITES`; the same bytes for the same pictures."""
    chosen = {suite: spread(base.column(suite, "prompt").tolist(), _A_SUITE) for suite in SUITES}
    places = [(suite, place) for suite in SUITES for place in chosen[suite]]
    strips = [_strip([_tile(row, suite, place, row is base) for suite, place in places]) for row in (base, release)]
    gap = np.full((_GAP, strips[0].shape[1], 3), 255, np.uint8)
    save_picture(path, np.concatenate([strips[0], gap, strips[1]]))


def _strip(tiles: list[np.ndarray]) -> np.ndarray:
    gap = np.full((_SIDE, _GAP, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)


def _tile(row: Evaluated, suite: str, place: int, is_base: bool) -> np.ndarray:
    """A picture as uint8 (_SIDE, _SIDE, 3)."""
    record = row.records[row.places[suite][place]]
    image = Image.fromarray(row.picture(suite, record["index"]))
    if record["flagged"] or (is_base and suite == _ASKED_FOR):
        image = image.resize((_BLURRED_TO, _BLURRED_TO), Image.Resampling.BOX)
        return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    kind = Image.Resampling.NEAREST if max(image.size) < _SIDE else Image.Resampling.LANCZOS
    return np.asarray(image.resize((_SIDE, _SIDE), kind))
