"""The model card of a release, from its params and figures."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from hfi_core.io.atomic import whole_file
from hfi_core.params import Params
from hfi_core.report.card_pictures import SUITES

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
        (files("hfi_core.report") / "card.md").read_text(encoding="utf-8")
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
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
