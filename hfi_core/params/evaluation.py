"""Params of the evaluation and of the release."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from hfi_core.params.model import Commit
from hfi_core.params.prompt_files import read_prompt_file
from hfi_core.params.values import EMBEDDED, Digest, Frozen, Name, Prompt, RelativePath, Share, require_each_once


def _known_judge(kind: str) -> str:
    from hfi_core.plugins import JUDGES, find_judges

    if kind not in JUDGES and kind not in find_judges():
        raise ValueError(f"there is no judge of this name; there are {', '.join(sorted(find_judges()))}")
    return kind


NUDENET = "nudenet"
"""The kind of the judge whose weights are in an optional package."""


class JudgedWords(Frozen):
    """What a judge looks for. The words depend on the judge's kind."""

    flagged: tuple[Prompt, ...]
    """Objectionable: words (clip, probe), class labels (classifier, nudenet), or emblems, kinds and styles of the
    embedded world."""
    accepted: tuple[Prompt, ...]
    """On topic and accepted, in the same words."""
    other: tuple[Prompt, ...] = ()
    """Words for all other pictures (clip, probe)."""


class JudgeParams(JudgedWords):
    """The model that judges pictures in the evaluation. It is never one that training used.

    The embedded judge may have no words: it then flags the objectionable emblems of its world.
    """

    kind: Annotated[
        str, AfterValidator(_known_judge), Field(examples=["embedded", "clip", "classifier", "nudenet", "probe"])
    ]
    """`embedded`: the judge of the embedded world; `clip`: zero-shot by words; `classifier`: a transformers image
    classifier; `nudenet`: the detector of the optional package NudeNet; `probe`: what `hfi judge fit` has learned from
    people's answers; or the name of another package's entry point in `hfi.judges`."""
    source: str | None
    """Folder or hub id of the judge's weights; null for `embedded` and `nudenet`."""
    revision: Commit | None
    digest: Digest
    """Digest of the weights; for `nudenet` of the package's version and weights."""
    other: tuple[Prompt, ...]
    """Words for all other pictures (clip, probe)."""
    threshold: Share
    """Smallest probability or score at which the judge gives a verdict. A judge that gives scores is shown over all
    thresholds, with this one named."""
    concepts: dict[Name, JudgedWords] = {}
    """Other words for the suites of a concept. Several concepts are objectionable for different things."""

    @model_validator(mode="after")
    def _words(self):
        if self.kind == NUDENET and (self.source or self.revision):
            raise ValueError("judge 'nudenet' comes with its package: set source and revision to null")
        if self.kind == "probe" and self.concepts:
            raise ValueError("judge 'probe' was fitted to one concept, so it has no other words: set concepts to {}")
        for words in (self, *self.concepts.values()):
            if self.kind == NUDENET and not (words.flagged and words.accepted):
                raise ValueError("judge 'nudenet' needs flagged and accepted: classes that it finds")
            if self.kind not in (EMBEDDED, NUDENET) and not (self.source and words.flagged and words.accepted):
                raise ValueError(f"judge {self.kind!r} needs source, flagged and accepted")
        return self

    def for_concept(self, concept: str | None) -> "JudgeParams":
        """Return the judge with the words of a concept; unchanged for a concept without words of its own."""
        words = self.concepts.get(concept or "")
        return self.model_copy(update=dict(words)) if words else self


Role = Literal["broad", "precise", "neighbours", "unrelated", "unnamed", "synonyms"]
"""What the prompts of a suite are for; see `hfi_core/evaluation/definitions.py`."""
ROLES: tuple[Role, ...] = get_args(Role)
_REQUIRED_ROLES: tuple[Role, ...] = ("broad", "precise", "neighbours", "unrelated")


def _either_prompts_or_file(schema: dict[str, Any]) -> None:
    schema["required"] = ["pictures"]
    schema |= {"minProperties": 2, "not": {"required": ["prompts", "file"]}}


class People(Frozen):
    """Judgements by people about pictures of the evaluation."""

    file: RelativePath
    """JSONL that `hfi human-evaluation collect` wrote; DVC tracks it."""


_Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Suite(Frozen):
    """Prompts, drawn for every variant of the model with the same seeds. In params it has either prompts or file."""

    model_config = ConfigDict(json_schema_extra=_either_prompts_or_file)

    role: Role
    """What the prompts are for. A suite that is named after a role has that role."""
    concept: Name | None = None
    """The concept that the verdicts are about, with its words in `judge.concepts`. null: the judge's own words."""
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=100_000)]
    """The prompts. With `file`, those of the file."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] | None = None
    """Seed of each prompt's picture, for suites that publish them. null: from params' seed, suite and prompt."""
    guidances: tuple[Annotated[float, Field(ge=1, le=50)], ...] | None = None
    """Guidance scale of each prompt's pictures. null: that of `sampler`."""
    # Not in a dump: the work keys and the results hold what was read, wherever it is written.
    file: RelativePath | SkipJsonSchema[None] = Field(default=None, exclude=True)
    """Text file with one prompt a line (# begins a comment), CSV (`.csv`) or COCO captions (`.json`), relative to
    `params.yaml`."""
    prompt: _Column | SkipJsonSchema[None] = Field(default=None, exclude=True)
    """CSV: the column of the prompts; by default `prompt`."""
    seed: _Column | SkipJsonSchema[None] = Field(default=None, exclude=True)
    """CSV: the column of the seeds, for example `evaluation_seed`; without it, seeds are ours."""
    guidance: _Column | SkipJsonSchema[None] = Field(default=None, exclude=True)
    """CSV: the column of the guidance scales, for example `evaluation_guidance`; without it, they are `sampler`'s."""
    pictures: int = Field(ge=1, le=10_000)
    """Pictures (seeds) per prompt; 1 where the suite has seeds."""

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, raw: Any, info: ValidationInfo) -> Any:
        if not isinstance(raw, dict):
            return raw
        columns = {key: raw[key] for key in ("prompt", "seed", "guidance") if raw.get(key) is not None}
        if "file" not in raw:
            if columns:
                raise ValueError(f"{next(iter(columns))} names a column of a CSV file, and the suite has no file")
            return raw
        if read := [key for key in ("prompts", "seeds", "guidances") if raw.get(key) is not None]:
            raise ValueError(f"a suite has either {read[0]} or file, not both. To fix this: remove one of them")
        file = raw["file"]
        if not isinstance(file, str):
            raise ValueError("file must be the path of a file of prompts")
        if not all(isinstance(column, str) for column in columns.values()):
            raise ValueError("prompt, seed and guidance are names of columns")
        if columns and not file.endswith(".csv"):
            raise ValueError(
                f"{next(iter(columns))} names a column, and {file} is not a CSV file (its name ends in .csv)"
            )
        folder = (info.context or {}).get("folder", Path())
        return raw | read_prompt_file(folder, file, **columns)._asdict()

    @model_validator(mode="after")
    def _fit_together(self):
        for key in ("seeds", "guidances"):
            values = getattr(self, key)
            if values is not None and len(values) != len(self.prompts):
                raise ValueError(f"{key} has {len(values)} values for {len(self.prompts)} prompts")
        if self.seeds is None:
            require_each_once(self.prompts)
            return self
        if self.pictures != 1:
            raise ValueError(
                "the suite has a seed for each prompt, so it has one picture per prompt: set pictures to 1"
            )
        pairs = Counter(zip(self.prompts, self.seeds, strict=True))
        (prompt, seed), count = pairs.most_common(1)[0]
        if count > 1:
            raise ValueError(f"prompt {prompt!r} occurs twice with the seed {seed}: remove one of the two lines")
        return self


Curve = Annotated[tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...], Field(min_length=1)]


class Evaluate(Frozen):
    """The pictures that are drawn, and how they are compared."""

    judge: JudgeParams
    suites: dict[Name, Suite]
    """Suites of prompts by name. A figure on one of them is called `FIGURE@NAME`."""
    clip_score_prefix: Annotated[str, StringConstraints(max_length=100)]
    """Words before each prompt in CLIPScore; "A photo depicts " in Hessel et al. 2021. Empty for a CLIP that does not
    know them, such as the embedded one."""
    resamples: int = Field(ge=100, le=1_000_000)
    """Bootstrap resamples."""
    level: Annotated[float, Field(gt=0.5, lt=1)]
    """Coverage of the intervals."""
    # Defaults are not in a dump: projects without curves have the work keys and the bytes that they always had.
    curves: dict[Name, Curve] = Field(default={}, exclude_if=lambda curves: not curves)
    """Rows that are read as one curve of removal, by name: a list for each repetition of the training, and in it the
    rows from the weakest to the strongest. Every curve begins at base. By default none."""
    removal_levels: dict[Name, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default={}, exclude_if=lambda levels: not levels
    )
    """Where the curves are read, by name: the part of base's flagged broad pictures that is left."""

    people: People | SkipJsonSchema[None] = Field(default=None, exclude_if=lambda people: people is None)
    """Judgements by people. With them, rows have the figures `flagged_by_people` and `accepted_by_people`."""

    @field_validator("suites", mode="before")
    @classmethod
    def _name_roles(cls, raw: Any) -> Any:
        """Give suites that are named after a role this role."""
        if not isinstance(raw, dict):
            return raw
        for name, suite in raw.items():
            if name in ROLES and isinstance(suite, dict) and suite.get("role", name) != name:
                raise ValueError(
                    f"suite {name!r} has the role {suite['role']!r}, but the name of another one: rename it"
                )
        return {
            name: {"role": name} | suite if name in ROLES and isinstance(suite, dict) else suite
            for name, suite in raw.items()
        }

    @model_validator(mode="after")
    def _all_roles(self):
        for role in _REQUIRED_ROLES:
            if not self.suites_of(role):
                raise ValueError(f"suite {role!r} is missing, and no other suite has this role")
        if bool(self.curves) != bool(self.removal_levels):
            raise ValueError(
                "curves are read at removal_levels, for example `removal_levels: {half: 0.5}`. To fix this: give both, "
                "or neither"
            )
        return self

    @property
    def rows_of_curves(self) -> list[str]:
        """The rows on curves, in the curves' order."""
        return [row for curve in self.curves.values() for repetition in curve for row in repetition]

    def suites_of(self, role: Role) -> list[str]:
        """Return the names of the suites with a role, in their order."""
        return [name for name, suite in self.suites.items() if suite.role == role]


class Gate(Frozen):
    """Bounds for a figure of a release: absolute, a multiple of the base model's figure, or relative to a champion."""

    at_most: float | None = None
    at_least: float | None = None
    of_base: bool = False
    """The bound is a multiple of the base model's figure."""
    not_worse_than_base_by: Annotated[float, Field(ge=0)] | None = None
    """The figure may be worse than the base model's by at most this, in the figure's unit. Unlike a multiple, it has a
    meaning where the base's figure is 0 or close to it."""
    not_worse_by: Annotated[float, Field(gt=0, le=1)] | None = None
    """On promotion, the interval of the paired difference must rule out that the share is worse than the champion's by
    more than this. For shares only (flagged, kept, correct, readable)."""

    @property
    def has_bound(self) -> bool:
        """Return whether the gate has a bound that needs no champion."""
        return any(bound is not None for bound in self._bounds)

    @property
    def _bounds(self) -> tuple[float | None, ...]:
        return self.at_most, self.at_least, self.not_worse_than_base_by

    @model_validator(mode="after")
    def _one_bound(self):
        if sum(bound is not None for bound in self._bounds) > 1:
            raise ValueError("a gate has one of at_most, at_least and not_worse_than_base_by")
        if not self.has_bound and self.not_worse_by is None:
            raise ValueError("a gate has one of at_most, at_least, not_worse_than_base_by and not_worse_by")
        if self.of_base and self.at_most is None and self.at_least is None:
            raise ValueError("of_base makes at_most or at_least a multiple of base's figure, and the gate has neither")
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
