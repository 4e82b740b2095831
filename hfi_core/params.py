"""`params.yaml` as frozen models: every knob, its unit, its bounds. Nothing here imports torch."""

import difflib
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from hfi_core.errors import UserError
from hfi_core.yaml_file import read_yaml

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


def _inside_the_project(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path inside the project is expected, relative and without `..`")
    return path


def _known_judge(kind: str) -> str:
    from hfi_core.judges.registry import JUDGES, known_judges

    if kind not in JUDGES and kind not in known_judges():
        raise ValueError(f"no such judge; there are {', '.join(sorted(known_judges()))}")
    return kind


RelativePath = Annotated[str, AfterValidator(_inside_the_project)]
Share = Annotated[float, Field(ge=0, le=1)]

EMBEDDED = "embedded"

_MOST_LINES = 20


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Source(_Frozen):
    """Where weights come from."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """`embedded`, a local folder, or a hub id."""
    revision: str | None
    """A hub id's commit; null for a folder or `embedded`."""
    digest: Digest
    """Digest of the weights and their configuration; `hfi params pin` writes it. Stages refuse other weights."""


class Compute(_Frozen):
    """How the arithmetic is done. Equal values on one machine give equal bytes."""

    device: Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:\d+)?|mps)$")]
    """`cpu`, `cuda`, `cuda:1` or `mps`."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Precision of the frozen networks; what learns is kept in float32."""
    threads: int = Field(ge=1, le=256)
    """CPU threads; part of the result, since sums are split by thread."""
    block: int = Field(ge=1, le=1024)
    """Pictures computed together; the last block is padded, so order and shards change no byte."""


class Sampler(_Frozen):
    """How pictures are drawn, in every stage that draws some."""

    scheduler: Literal["dpm++", "ddim"]
    """`dpm++`: DPM-Solver++(2M) (Lu et al. 2022); `ddim`: Song et al. 2021."""
    steps: int = Field(ge=1, le=1000)
    """Denoising steps a picture."""
    guidance: float = Field(ge=1, le=50)
    """Classifier-free guidance scale; 1 is none."""


class Initial(_Frozen):
    """The words from which the soft tokens start."""

    objectionable: Prompt
    """Word whose embedding v* starts from."""
    accepted: Prompt
    """Word whose embedding u* starts from."""


class Concept(_Frozen):
    """A text concept whose pictures people judge."""

    text: Prompt
    """The words for the concept; each prompt holds them, and a soft token takes their place."""
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=10_000)]
    """Prompts that candidates are drawn for and that removal trains on."""
    pictures: int = Field(ge=1, le=100_000)
    """Candidates a prompt."""
    feedback: Literal["binary", "ranking"]
    """`binary`: is it objectionable? `ranking`: pictures ordered by how strongly they show the concept."""
    initial: Initial

    @model_validator(mode="after")
    def _prompts_hold_the_text(self):
        for prompt in self.prompts:
            if self.text not in prompt:
                raise ValueError(f"prompt {prompt!r} does not hold the concept's text {self.text!r}")
        return self


class Crowd(_Frozen):
    """Simulated annotators: a classifier's answer plus each one's own errors. Only for the embedded demo."""

    annotators: int = Field(ge=1, le=100)
    error: Annotated[float, Field(ge=0, le=0.5)]
    """Mean share of wrong answers; each annotator's own rate is drawn around it."""
    cant_tell: Share
    """Share of readable pictures answered with "can't tell"."""


class Agreement(_Frozen):
    """How far annotators must agree: Krippendorff's alpha for binary feedback, Kendall's W for rankings."""

    warn_below: Annotated[float, Field(ge=-1, le=1)]
    """`ingest` warns below it (Krippendorff 2004 calls .667 the least for tentative conclusions)."""
    refuse_below: Annotated[float, Field(ge=-1, le=1)] | None
    """`ingest` refuses below it; null never."""


class Feedback(_Frozen):
    """Where judgements come from, and how many become one label."""

    file: RelativePath
    """JSONL of judgements: written by the simulated crowd, by `hfi feedback snapshot`, or by you; DVC tracks it."""
    simulated: Annotated[dict[Name, Crowd], Field(max_length=1)]
    """The simulated crowd by name; `{}` with real feedback, and the simulation is gone from the graph."""
    store: bool
    """`file` is a snapshot of the live store: `hfi run` takes one before it asks what is out of date."""
    database_url: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """The live store, as SQLAlchemy names it: `sqlite:///feedback.db` or `postgresql+psycopg://...`."""
    minimum: int = Field(ge=1)
    """Judgements a picture needs before it gets a label."""
    labels: Literal["majority", "dawid-skene"]
    """Binary labels: the share of votes, or the posterior of Dawid & Skene (1979), which weighs each annotator."""
    agreement: Agreement

    @model_validator(mode="after")
    def _one_source(self):
        if self.store and self.simulated:
            raise ValueError("judgements come from the store or from the simulated crowd: set simulated to {}")
        return self


class Annotation(_Frozen):
    """The annotation page; no stage reads it."""

    judgements: int = Field(ge=1, le=100)
    """Judgements asked for a picture, each by another annotator."""
    ranked: int = Field(ge=2, le=20)
    """Pictures a ranking shows at once."""
    lease_minutes: float = Field(gt=0, le=1440)
    """How long a picture is kept for the annotator who was given it."""
    gold: RelativePath | None
    """JSONL of judgements whose answers are known (by anyone); null without gold questions."""
    qualification: int = Field(ge=0, le=100)
    """Gold questions that an annotator answers first; 0 for none."""
    pass_mark: Share
    """Share of the qualification that must be right."""
    gold_share: Annotated[float, Field(ge=0, le=0.5)]
    """Share of gold questions among the later ones."""
    break_minutes: float = Field(gt=0, le=1440)
    """Minutes of judging after which a break is proposed."""
    daily_limit: int = Field(ge=1)
    """Pictures that one annotator is shown a day."""
    guidelines: dict[Name, RelativePath]
    """Markdown shown beside the picture, by concept."""
    gallery: dict[Name, RelativePath]
    """Folder of reference pictures shown beside a ranking, by concept."""
    retention_days: int | None = Field(ge=1)
    """Days after which judged candidates that nothing needs lose their picture files; null keeps them."""


class Reward(_Frozen):
    """The reward model: an MLP on frozen CLIP image embeddings (HFI, section 3)."""

    hidden: int = Field(ge=1, le=8192)
    """Width of its hidden layer."""
    steps: int = Field(ge=1, le=1_000_000)
    rate: float = Field(gt=0, le=1)
    """AdamW's learning rate."""
    weight_decay: float = Field(ge=0, le=10)
    held_out: Annotated[float, Field(gt=0, lt=0.9)]
    """Share of pictures that measure it and stop it early."""
    least: int = Field(ge=4)
    """Labelled pictures below which it refuses to learn."""


class Invert(_Frozen):
    """Reward-weighted textual inversion (HFI, section 3; Gal et al. 2022)."""

    vectors: int = Field(ge=1, le=16)
    """Embedding vectors a soft token."""
    top: int = Field(ge=1)
    """K: pictures with the highest (for u*: lowest) reward that are learnt from."""
    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    rate: float = Field(gt=0, le=10)
    """AdamW's learning rate at the start; it falls to 0."""
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """Share of the timesteps, from the noisiest down, that are learnt from; 1 is all (Gal et al. 2022)."""
    check: int = Field(ge=0, le=10_000)
    """Pictures drawn with each token and scored by the reward model."""


class NoRemoval(_Frozen):
    """The base model, as it is."""

    method: Literal["none"]


class _Distillation(_Frozen):
    steps: int = Field(ge=1, le=1_000_000)
    """Gradient steps (for `anchored`: a round)."""
    batch: int = Field(ge=1, le=1024)
    """Latents a gradient step and condition."""
    rate: float = Field(gt=0, le=1)
    """AdamW's learning rate."""
    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the teacher, which is what is kept."""
    guidance: float = Field(ge=1, le=50)
    """Guidance scale of the teacher's roll-outs."""
    rollout_steps: int = Field(ge=2, le=1000)
    """Denoising steps a roll-out; each visited latent is a training point."""
    rollouts: int = Field(ge=1, le=1024)
    """Roll-outs drawn together for each condition."""
    reuse: int = Field(ge=1, le=1000)
    """Gradient steps that learn from the same roll-outs."""


class SDD(_Distillation):
    """Safe self-distillation (Kim et al. 2023) under the text or under v* (HFI, section 4)."""

    method: Literal["sdd"]
    condition: Literal["text", "token"]


class Anchored(_Distillation):
    """Text and v* are mapped onto u*, the anchor inverted from accepted feedback; in adversarial rounds."""

    method: Literal["anchored"]
    rounds: int = Field(ge=1, le=10)
    """From the second round on, a token re-inverted on the safeguarded model is mapped too."""
    contrast: float = Field(ge=0, le=10)
    """How far the anchor is pushed away from v*; 0 is u* alone."""
    reinvert_steps: int = Field(ge=1, le=1_000_000)
    """Steps of each re-inversion between rounds."""


Removal = Annotated[NoRemoval | SDD | Anchored, Field(discriminator="method")]


class Attack(_Frozen):
    """Re-inversion on the safeguarded model (Pham et al. 2023): other start, seeds and pictures than removal saw."""

    start: Prompt
    """Word the attacker starts from."""
    vectors: int = Field(ge=1, le=16)
    held_out: Annotated[float, Field(gt=0, lt=1)]
    """Share of candidates kept for the attacker; inversion and removal never see them."""
    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    rate: float = Field(gt=0, le=10)
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """As in `invert`."""


class Judge(_Frozen):
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


class Suite(_Frozen):
    """Prompts that are drawn for every row at equal seeds."""

    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=10_000)]
    pictures: int = Field(ge=1, le=10_000)
    """Pictures (seeds) a prompt."""


class Evaluate(_Frozen):
    """What is drawn and how it is compared."""

    judge: Judge
    suites: dict[Literal["broad", "precise", "neighbours", "unrelated"], Suite]
    reinverted: int = Field(ge=1, le=10_000)
    """Pictures drawn with the attacker's token, a concept."""
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


class Gate(_Frozen):
    """A bound that a release must keep: at most or at least so much, absolute or as a multiple of base."""

    at_most: float | None = None
    at_least: float | None = None
    of_base: bool = False
    """The bound is a multiple of the base model's figure."""

    @model_validator(mode="after")
    def _one_bound(self):
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a gate has either at_most or at_least")
        return self


class Release(_Frozen):
    """What is packaged and registered."""

    row: Name
    """The removal that is packaged."""
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    """Name of the registered model."""
    gates: dict[str, Gate]
    """Bounds by metric, for example `flagged@broad`."""


class Tracking(_Frozen):
    """Where runs are recorded; changes no result."""

    mlflow: Annotated[str, StringConstraints(min_length=1)]
    """MLflow's tracking and registry address."""
    experiment: Annotated[str, StringConstraints(min_length=1)]


class Params(_Frozen):
    """The whole of `params.yaml`."""

    seed: int = Field(ge=0, lt=2**31)
    compute: Compute
    model: Source
    clip: Source
    sampler: Sampler
    concepts: Annotated[dict[Name, Concept], Field(min_length=1)]
    feedback: Feedback
    annotation: Annotation
    reward: Reward
    invert: Invert
    removals: Annotated[dict[Name, Removal], Field(min_length=1)]
    attack: Attack
    evaluate: Evaluate
    release: Release
    tracking: Tracking

    @model_validator(mode="after")
    def _fit_together(self):
        if not isinstance(self.removals.get("base"), NoRemoval):
            raise ValueError("removals needs the row `base: {method: none}`, which every other row is compared with")
        if any(isinstance(r, NoRemoval) for name, r in self.removals.items() if name != "base"):
            raise ValueError("only the row `base` has method none")
        if self.release.row not in self.removals:
            raise ValueError(f"release.row {self.release.row!r} is no removal; there are {', '.join(self.removals)}")
        if self.feedback.simulated and self.model.source != EMBEDDED:
            raise ValueError("feedback.simulated is for the embedded model only: set it to {} and name your file")
        for key in ("guidelines", "gallery"):
            for name in getattr(self.annotation, key).keys() - self.concepts.keys():
                raise ValueError(f"annotation.{key} names {name!r}, which is no concept")
        return self


def read_params(path: Path) -> Params:
    """Parse `params.yaml`.

    Raises UserError that names each unknown key with the nearest known one, each missing key and each broken bound.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: run this in a project's folder.")
    return parse_params(read_yaml(path), str(path))


def parse_params(raw: Any, where: str = "params.yaml") -> Params:
    """Parse the content of `params.yaml`; see `read_params`."""
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else type(raw).__name__
        raise UserError(f"{where} holds {kind} where a mapping of keys is expected.")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        details = error.errors()
        lines = [_sentence(detail) for detail in details[:_MOST_LINES]]
        if len(details) > _MOST_LINES:
            lines.append(f"and {len(details) - _MOST_LINES} more")
        raise UserError(f"{where} is not valid:\n" + "\n".join(f"  {line}" for line in lines)) from error


def _sentence(detail: dict[str, Any]) -> str:
    # A removal's place holds its method after its name, which is no key of the file.
    parts = [str(part) for n, part in enumerate(detail["loc"]) if not (n == 2 and detail["loc"][0] == "removals")]
    path = ".".join(parts) or "(top level)"
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), sorted(_known_keys()), n=1)
        return f"{path}: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
    if detail["type"] == "missing":
        return f"{path}: missing key"
    shown = reprlib.repr(detail.get("input"))
    shown = "" if len(shown) > 80 else f" (is {shown})"
    return f"{path}: {detail['msg'].removeprefix('Value error, ')}{shown}"


def _known_keys() -> set[str]:
    keys: set[str] = set()
    for definition in (Params.model_json_schema(), *Params.model_json_schema()["$defs"].values()):
        keys |= set(definition.get("properties", {}))
    return keys
