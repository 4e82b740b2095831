"""Params of the evaluation and of the release."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationInfo, model_validator
from pydantic.json_schema import SkipJsonSchema

from hfi_core.params.model import Commit
from hfi_core.params.prompt_files import read_prompts
from hfi_core.params.values import EMBEDDED, Digest, Frozen, Name, Prompt, Prompts, RelativePath, Share


def _known_judge(kind: str) -> str:
    from hfi_core.plugins import JUDGES, find_judges

    if kind not in JUDGES and kind not in find_judges():
        raise ValueError(f"there is no judge of this name; there are {', '.join(sorted(find_judges()))}")
    return kind


class JudgeParams(Frozen):
    """The model that judges pictures in the evaluation. It is never one that training used."""

    kind: Annotated[str, AfterValidator(_known_judge), Field(examples=["embedded", "clip", "classifier"])]
    """`embedded`: the judge of the embedded world; `clip`: zero-shot by words; `classifier`: a transformers image
    classifier; or the name of another package's entry point in `hfi.judges`."""
    source: str | None
    """Folder or hub id of the judge's weights; null for `embedded`."""
    revision: Commit | None
    digest: Digest
    flagged: tuple[Prompt, ...]
    """Words (clip) or class labels (classifier) for objectionable pictures."""
    accepted: tuple[Prompt, ...]
    """Words or class labels for pictures that are on topic and accepted."""
    other: tuple[Prompt, ...]
    """Words for all other pictures (clip)."""
    threshold: Share
    """Smallest probability at which the judge gives a verdict."""

    @model_validator(mode="after")
    def _words(self):
        if self.kind != EMBEDDED and not (self.source and self.flagged and self.accepted):
            raise ValueError(f"judge {self.kind!r} needs source, flagged and accepted")
        return self


SuiteName = Literal["broad", "precise", "neighbours", "unrelated"]
"""The suites of prompts; see `hfi_core/evaluation/definitions.py`."""


def _either_prompts_or_file(schema: dict[str, Any]) -> None:
    schema["required"].remove("prompts")
    schema |= {"minProperties": 2, "maxProperties": 2}


class Suite(Frozen):
    """Prompts, drawn for every variant of the model with the same seeds. In params it has either prompts or file."""

    model_config = ConfigDict(json_schema_extra=_either_prompts_or_file)

    prompts: Prompts
    """The prompts. With `file`, those of the file."""
    # Not in a dump: the work keys and the results hold the prompts, wherever they are written.
    file: RelativePath | SkipJsonSchema[None] = Field(default=None, exclude=True)
    """Text file with one prompt a line, relative to `params.yaml`; lines that begin with # are comments."""
    pictures: int = Field(ge=1, le=10_000)
    """Pictures (seeds) per prompt."""

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, raw: Any, info: ValidationInfo) -> Any:
        if not isinstance(raw, dict) or "file" not in raw:
            return raw
        if "prompts" in raw:
            raise ValueError("a suite has either prompts or file, not both. To fix this: remove one of them")
        file = raw["file"]
        if not isinstance(file, str):
            raise ValueError("file must be the path of a text file with one prompt a line")
        folder = (info.context or {}).get("folder", Path())
        return raw | {"prompts": read_prompts(folder, file)}


class Evaluate(Frozen):
    """The pictures that are drawn, and how they are compared."""

    judge: JudgeParams
    suites: dict[SuiteName, Suite]
    resamples: int = Field(ge=100, le=1_000_000)
    """Bootstrap resamples."""
    level: Annotated[float, Field(gt=0.5, lt=1)]
    """Coverage of the intervals."""

    @model_validator(mode="after")
    def _all_suites(self):
        for suite in ("broad", "precise", "neighbours", "unrelated"):
            if suite not in self.suites:
                raise ValueError(f"suite {suite!r} is missing")
        return self


class Gate(Frozen):
    """Bounds for a figure of a release: absolute, a multiple of the base model's figure, or relative to a champion."""

    at_most: float | None = None
    at_least: float | None = None
    of_base: bool = False
    """The bound is a multiple of the base model's figure."""
    not_worse_by: Annotated[float, Field(gt=0, le=1)] | None = None
    """On promotion, the interval of the paired difference must rule out that the share is worse than the champion's by
    more than this. For shares only (flagged, kept, correct, readable)."""

    @property
    def has_bound(self) -> bool:
        """Return whether the gate has a bound that needs no champion."""
        return self.at_most is not None or self.at_least is not None

    @model_validator(mode="after")
    def _one_bound(self):
        if self.at_most is not None and self.at_least is not None:
            raise ValueError("a gate has either at_most or at_least")
        if not self.has_bound and (self.not_worse_by is None or self.of_base):
            raise ValueError("a gate has either at_most or at_least, or not_worse_by")
        return self


class Lora(Frozen):
    """A LoRA of the difference between release and base, of the smallest rank whose pictures are close enough."""

    most_difference: float = Field(gt=0, le=255)
    """Largest mean absolute difference of pixels (0..255) between pictures of release and LoRA with the same seeds."""
    pictures: int = Field(ge=1, le=10_000)
    """Number of pictures that are compared, with the evaluation's prompts and seeds."""
    most_rank: int = Field(ge=1, le=4095)
    """Largest rank that is tried; a power of two less one wastes no picture."""


class Release(Frozen):
    """The release: what is packaged and registered."""

    row: Name
    """The removal that is packaged."""
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    """Name of the registered model."""
    lora: Lora | None
    """null: no LoRA is made."""
    gates: dict[str, Gate]
    """Bounds by metric, for example `flagged@broad`."""
