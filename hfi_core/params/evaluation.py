"""What is measured, and what a release must keep."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from hfi_core.params.values import EMBEDDED, Digest, Frozen, Name, Prompt, Prompts, Share


def _known_judge(kind: str) -> str:
    from hfi_core.plugins import JUDGES, known_judges

    if kind not in JUDGES and kind not in known_judges():
        raise ValueError(f"no such judge; there are {', '.join(sorted(known_judges()))}")
    return kind


class JudgeParams(Frozen):
    """Who answers for the evaluation; never what was trained on."""

    kind: Annotated[str, AfterValidator(_known_judge), Field(examples=["embedded", "clip", "classifier"])]
    """`embedded`: the world's own; `clip`: zero-shot by words; `classifier`: a transformers image classifier; another
    package's by the name of its entry point in `hfi.judges`."""
    source: str | None
    """Folder or hub id of the judge's weights; null for `embedded`."""
    revision: str | None
    digest: Digest
    flagged: tuple[Prompt, ...]
    """Words (clip) or class labels (classifier) for the objectionable."""
    accepted: tuple[Prompt, ...]
    """Words or class labels for what is on topic and accepted."""
    other: tuple[Prompt, ...]
    """Words for anything else (clip)."""
    threshold: Share
    """Least probability of a verdict."""

    @model_validator(mode="after")
    def _words(self):
        if self.kind != EMBEDDED and not (self.source and self.flagged and self.accepted):
            raise ValueError(f"judge {self.kind!r} needs source, flagged and accepted")
        return self


class Suite(Frozen):
    """Prompts that are drawn for every row at equal seeds."""

    prompts: Prompts
    pictures: int = Field(ge=1, le=10_000)
    """Pictures (seeds) a prompt."""


class Evaluate(Frozen):
    """What is drawn and how it is compared."""

    judge: JudgeParams
    suites: dict[Literal["broad", "precise", "neighbours", "unrelated"], Suite]
    reinverted: int = Field(ge=1, le=10_000)
    """Pictures drawn with each attacker's token, a concept."""
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
    """Bounds that a release must keep: at most or at least so much, absolute or as a multiple of base, and not worse
    than the present champion."""

    at_most: float | None = None
    at_least: float | None = None
    of_base: bool = False
    """The bound is a multiple of the base model's figure."""
    not_worse_by: Annotated[float, Field(gt=0, le=1)] | None = None
    """On promotion: the paired difference's interval must rule out that the share is worse than the champion's by more
    than this. For shares (flagged, kept, correct, readable)."""

    @property
    def has_bound(self) -> bool:
        """Whether it holds a figure against a bound, champion or not."""
        return self.at_most is not None or self.at_least is not None

    @model_validator(mode="after")
    def _one_bound(self):
        if self.at_most is not None and self.at_least is not None:
            raise ValueError("a gate has either at_most or at_least")
        if not self.has_bound and (self.not_worse_by is None or self.of_base):
            raise ValueError("a gate has either at_most or at_least, or not_worse_by")
        return self


class Lora(Frozen):
    """The release's difference from base as a LoRA: of the smallest rank whose pictures are near enough."""

    most_difference: float = Field(gt=0, le=255)
    """Mean absolute difference of pixels (0..255) between pictures of release and LoRA at equal seeds."""
    pictures: int = Field(ge=1, le=10_000)
    """Pictures compared, of the evaluation's prompts and seeds."""
    most_rank: int = Field(ge=1, le=4095)
    """Ranks above are not tried; one less than a power of two wastes no picture."""


class Release(Frozen):
    """What is packaged and registered."""

    row: Name
    """The removal that is packaged."""
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    """Name of the registered model."""
    lora: Lora | None
    """null: none is made."""
    gates: dict[str, Gate]
    """Bounds by metric, for example `flagged@broad`."""
