"""Write the model card of a release, and the pictures beside it. Does not import torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.io.atomic import atomic_file
from hfi_core.io.images import save_image
from hfi_core.models.diffusion.folder import components, read_index, type_of_scheduler
from hfi_core.params import EMBEDDED, Evaluate, Params, Source
from hfi_core.params.attacks import WORST
from hfi_core.params.evaluation import Role
from hfi_core.report.images import select_round_robin

if TYPE_CHECKING:  # a plan imports this file
    from hfi_core.models.diffusion.recipe import Recipe

_ROLES: tuple[Role, ...] = ("broad", "neighbours", "unrelated")
"""Roles of the suites whose pictures the card shows. All of base's pictures of the first one are blurred, whatever the
judge says: its prompts name the concept."""
_PICTURES_PER_SUITE = 4
_SIDE, _GAP = 128, 4
"""Pixels."""
_BLURRED_SIDE = 6
"""Side in pixels to which a picture is reduced, before it is enlarged again, to blur it."""


def list_card_suites(evaluate: Evaluate) -> list[str]:
    """List the suites whose pictures the card shows: the first one of each role."""
    return [evaluate.suites_of(role)[0] for role in _ROLES]


def write_card_pictures(path: Path, base: EvaluatedVariant, release: EvaluatedVariant, suites: Sequence[str]) -> None:
    """Write a PNG of two strips, base above the release: a few pictures of each of the suites."""
    selected = [
        (suite, position)
        for suite in suites
        for position in select_round_robin(base.column(suite, "prompt"), _PICTURES_PER_SUITE)
    ]
    strips = [
        _join_tiles(
            [
                _make_tile(variant, suite, position, blurred=variant is base and suite == suites[0])
                for suite, position in selected
            ]
        )
        for variant in (base, release)
    ]
    gap = np.full((_GAP, strips[0].shape[1], 3), 255, np.uint8)
    save_image(path, np.concatenate([strips[0], gap, strips[1]]))


def _join_tiles(tiles: list[np.ndarray]) -> np.ndarray:
    gap = np.full((_SIDE, _GAP, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)


def _make_tile(variant: EvaluatedVariant, suite: str, position: int, *, blurred: bool) -> np.ndarray:
    """Return a picture as uint8 (_SIDE, _SIDE, 3), blurred if it may be objectionable."""
    record = variant.records[variant.positions[suite][position]]
    image = Image.fromarray(variant.load_picture(suite, record["index"]))
    if record["flagged"] or blurred:
        image = image.resize((_BLURRED_SIDE, _BLURRED_SIDE), Image.Resampling.BOX)
        return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    resampling = Image.Resampling.NEAREST if max(image.size) < _SIDE else Image.Resampling.LANCZOS
    return np.asarray(image.resize((_SIDE, _SIDE), resampling))


_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def is_hub_id(source: Source) -> bool:
    """Return whether a source names a repository of the hub, and not a folder of this machine or `embedded`."""
    return bool(source.revision and _HUB_ID.fullmatch(source.source)) and not Path(source.source).is_dir()


def public_name(source: Source) -> str:
    """Return the name of a source for readers elsewhere: of a local folder, its last part."""
    return source.source if is_hub_id(source) else Path(source.source).name


_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "peft")
"""The card says their versions."""

PICTURES = "pictures.png"
"""Name of the picture file beside the card."""


def write_card(
    path: Path,
    params: Params,
    removal: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    lora: Mapping[str, Any] | None,
    *,
    learned: str,
    two_encoders: bool,
    left_out: Sequence[str],
    recipe: Recipe | None = None,
    uncalibrated: Sequence[str] = (),
    people: Mapping[str, Any] | None = None,
) -> None:
    """Write the card as Markdown: what the release is, how it was made, its figures and its limits.

    `removal` is the variant's `removal.json`, `evaluation` its entry in `reports/evaluation.json`, `lora` the accuracy
    of the LoRA, if there is one. `learned` says which part of the UNet changed. `two_encoders` is true for models like
    SDXL. `left_out` lists the components of the base model that the release does not have. `recipe` is that of a row
    that trains nothing. `uncalibrated` are sentences about attacks that show nothing. `people` is that of
    `reports/evaluation.json`, if people judged the row. The folder of the card already holds `model/`, or with a recipe
    `scheduler/`.
    """
    template = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("hfi_core.report") / "templates" / "card.md").read_text(encoding="utf-8")
    )
    index = {} if recipe else components(read_index(path.parent / "model"))
    scheduler = type_of_scheduler(path.parent) if recipe else index["scheduler"]
    text = template.render(
        name=params.release.model,
        removal=removal,
        lora=lora,
        learned=learned,
        two_encoders=two_encoders,
        left_out=left_out,
        concepts=params.concepts,
        metrics=sorted(evaluation["metrics"].items()),
        level=round(100 * params.evaluate.level),
        judge=params.evaluate.judge,
        sampler=params.sampler,
        simulated=bool(params.feedback.simulated),
        base=params.model,
        base_name=public_name(params.model),
        base_embedded=params.model.source == EMBEDDED,
        base_on_hub=is_hub_id(params.model),
        scheduler=scheduler,
        recipe=recipe,
        uncalibrated=uncalibrated,
        people=people,
        worst_attack=evaluation.get(WORST),
        has_checker="safety_checker" in index,
        versions=[f"{name} {version(name).split('+')[0]}" for name in _LIBRARIES],
        pictures=PICTURES,
        suites=list_card_suites(params.evaluate),
    )
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
