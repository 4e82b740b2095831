"""The model card of a release, from its params and figures."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.io.atomic import atomic_file
from hfi_core.io.images import save_image
from hfi_core.params import Params
from hfi_core.report.images import select_round_robin

SUITES = ("broad", "neighbours", "unrelated")
_ASKED_FOR = "broad"
"""The suite that brings the concept up: base's pictures of it are blurred, whatever the judge says."""
_A_SUITE = 4
_SIDE, _GAP = 128, 4
"""Pixels."""
_BLURRED_TO = 6
"""Pixels a side that a blurred picture is reduced to before it is enlarged."""


def write_card_pictures(path: Path, base: EvaluatedVariant, release: EvaluatedVariant) -> None:
    """Write a PNG of two strips, a few pictures of each of `SUITES`; the same bytes for the same pictures."""
    chosen = {suite: select_round_robin(base.column(suite, "prompt").tolist(), _A_SUITE) for suite in SUITES}
    places = [(suite, place) for suite in SUITES for place in chosen[suite]]
    strips = [_strip([_tile(row, suite, place, row is base) for suite, place in places]) for row in (base, release)]
    gap = np.full((_GAP, strips[0].shape[1], 3), 255, np.uint8)
    save_image(path, np.concatenate([strips[0], gap, strips[1]]))


def _strip(tiles: list[np.ndarray]) -> np.ndarray:
    gap = np.full((_SIDE, _GAP, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)


def _tile(row: EvaluatedVariant, suite: str, place: int, is_base: bool) -> np.ndarray:
    """A picture as uint8 (_SIDE, _SIDE, 3)."""
    record = row.records[row.places[suite][place]]
    image = Image.fromarray(row.picture(suite, record["index"]))
    if record["flagged"] or (is_base and suite == _ASKED_FOR):
        image = image.resize((_BLURRED_TO, _BLURRED_TO), Image.Resampling.BOX)
        return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    kind = Image.Resampling.NEAREST if max(image.size) < _SIDE else Image.Resampling.LANCZOS
    return np.asarray(image.resize((_SIDE, _SIDE), kind))


PICTURES = "pictures.png"
"""Beside the card."""


def write_card(
    path: Path,
    params: Params,
    removal: dict[str, Any],
    evaluation: dict[str, Any],
    lora: Mapping[str, Any] | None,
    *,
    two_encoders: bool,
    left_out: Sequence[str],
) -> None:
    """Write Markdown that says what the release is, how it was made, what was measured and what it is not.

    `two_encoders`: whether the model is of SDXL's shape; `left_out`: the base's components that the release lacks.
    """
    template = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("hfi_core.report") / "templates" / "card.md").read_text(encoding="utf-8")
    )
    text = template.render(
        name=params.release.model,
        removal=removal,
        lora=lora,
        two_encoders=two_encoders,
        left_out=left_out,
        concepts=params.concepts,
        metrics=sorted(evaluation["metrics"].items()),
        level=round(100 * params.evaluate.level),
        judge=params.evaluate.judge,
        sampler=params.sampler,
        simulated=bool(params.feedback.simulated),
        base=params.model,
        pictures=PICTURES,
        suites=SUITES,
    )
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
