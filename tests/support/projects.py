"""Small projects for tests: the miniature model in place of the embedded one, few steps, feedback from a file."""

import copy
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Operations, Params, load_params, parse_params
from hfi_core.pipeline.layout import OPERATIONS, PARAMS

REPOSITORY = Path(__file__).parents[2]
FEEDBACK_FILE = "data/feedback/judgements.jsonl"

_SHORT = {
    "steps": 2, "batch": 2, "rollout_steps": 3, "rollouts": 2, "reuse": 1, "rounds": 2, "reinvert_steps": 2,
}  # fmt: skip


LORA = {"most_difference": 1.0, "pictures": 4, "most_rank": 63}
CLOSED_FORM = {"method": "closed_form", "contrast": 1.0, "hold": 1.0, "ridge": 0.01}
"""A row that the default project does not have."""
_TRAINED = {
    "steps": 2, "batch": 2, "rate": 1e-4, "ema": 0.0, "guidance": 3.0, "rollout_steps": 3, "rollouts": 2, "reuse": 1,
    "concentration": 1,
}  # fmt: skip
ANCHORED_ROW = _TRAINED | {
    "method": "anchored", "rounds": 2, "contrast": 0.5, "preserve": True, "reinvert_from": ["word", "token"],
    "reinvert_steps": 2, "rate": 1e-3, "ema": 0.95,
}  # fmt: skip
"""Only matrices learn, so a LoRA can hold them; the default project's row learns convolutions, too."""
ESD_ROW = {"method": "esd", "condition": "token", "variant": "x", "negative_guidance": 1.0} | _TRAINED
"""Another, short."""
_FINE_TUNED = {
    "steps": 2, "batch": 2, "rate": 1e-4, "ema": 0.0, "preserved": ["a red boat"], "pictures": 2,
}  # fmt: skip
REWARD_WEIGHTED_ROW = {"method": "reward_weighted", "beta": 0.5} | _FINE_TUNED
DPO_ROW = {"method": "dpo", "beta": 2000.0} | _FINE_TUNED
UCE_ROW = {"method": "uce", "condition": "text", "preserved": ["a boat"]}
RECE_ROW = {"method": "rece", "condition": "token", "rounds": 2}


@dataclass(frozen=True)
class Project:
    """A project's folder, without a git repository; `params.yaml` and `operations.yaml` lie in it."""

    folder: Path

    @property
    def params(self) -> Params:
        """What `params.yaml` and `operations.yaml` say now."""
        return load_params(self.folder / "params.yaml")

    def edit(self, **changes: Any) -> None:
        """Set dotted keys in the params, dots written as two underscores: `edit(reward__steps=3)`."""
        raw = read_raw(self.folder)
        for key, value in changes.items():
            *parents, last = key.split("__")
            section = raw
            for parent in parents:
                section = section[parent]
            section[last] = value
        write_raw(self.folder, raw)

    def keep(self, *rows: str) -> None:
        """Drop all removals but these from `params.yaml`; the last one is released."""
        removals = self.params.model_dump(mode="json")["removals"]
        self.edit(removals={row: removals[row] for row in rows}, release__row=rows[-1])


def default_raw() -> dict[str, Any]:
    """The repository's own params in one mapping, with the prompts of the suites as lists."""
    return copy.deepcopy(_default_raw())


@cache
def _default_raw() -> dict[str, Any]:
    raw = read_raw(REPOSITORY)
    suites = load_params(REPOSITORY / PARAMS).model_dump(mode="json")["evaluate"]["suites"]
    return raw | {"evaluate": raw["evaluate"] | {"suites": suites}}


def read_raw(folder: Path) -> dict[str, Any]:
    """The content of a project's `params.yaml` and `operations.yaml`, in one mapping."""
    texts = [path.read_text() for path in (folder / PARAMS, folder / OPERATIONS) if path.exists()]
    return {key: value for text in texts for key, value in yaml.safe_load(text).items()}


def write_raw(folder: Path, raw: dict[str, Any]) -> None:
    """Write the sections of one mapping into a project's `params.yaml` and `operations.yaml`."""
    operations = {key: raw[key] for key in raw if key in Operations.model_fields}
    science = {key: raw[key] for key in raw if key not in operations}
    for path, content in ((PARAMS, science), (OPERATIONS, operations)):
        (folder / path).write_text(yaml.safe_dump(content, sort_keys=False))


def small_raw(model: Path) -> dict[str, Any]:
    """Params for the model built in a folder, short enough that each stage takes a second or two."""
    raw = default_raw()
    for part, folder in (("model", "pipeline"), ("clip", "clip")):
        raw[part] = _source(model / folder)
    raw["compute"] |= {"threads": 1, "block": 8}
    # With guidance at every step, as diffusers' own pipeline has it.
    raw["sampler"] |= {"steps": 2, "guidance_stop": 1.0}
    raw["concepts"]["badge"] |= {"prompts": ["a badge", "a red badge", "a blue badge"]}
    raw["candidates"]["drawn"] = {"badge": 8}
    raw["feedback"] |= {"file": FEEDBACK_FILE, "simulated": {}, "minimum": 1}
    raw["reward"] |= {"hidden": 8, "steps": 20, "least": 8}
    raw["invert"] |= {"vectors": 2, "top": 8, "steps": 3, "batch": 4, "check": 4}
    raw["removals"]["anchored"] = dict(ANCHORED_ROW)
    for removal in raw["removals"].values():
        removal |= {key: value for key, value in _SHORT.items() if key in removal}
    raw["attacks"]["reinverted"] |= {"vectors": 2, "pictures": 4, "steps": 2, "batch": 2}
    raw["evaluate"]["judge"] |= _source(model / "judges" / "evaluation")
    for suite in raw["evaluate"]["suites"].values():
        suite |= {"prompts": suite["prompts"][:2], "pictures": 2}
    raw["evaluate"] |= {"resamples": 100}
    raw["release"]["lora"] = dict(LORA)
    parse_params(raw)
    return raw


def _source(folder: Path) -> dict[str, Any]:
    return {"source": str(folder), "revision": None, "digest": digest_of_weights(folder)}


def write_project(folder: Path, model: Path) -> Project:
    """A project in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_raw(folder, small_raw(model))
    return Project(folder)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
