"""Params of concepts, candidates, feedback and the annotation page."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from hfi_core.params.model import Commit
from hfi_core.params.values import (
    Digest,
    Frozen,
    Name,
    Prompt,
    Prompts,
    RelativePath,
    S3Address,
    Share,
    require_inside_project,
)
from hfi_core.prompts import mentions


class Initial(Frozen):
    """The words whose embeddings the soft tokens start from."""

    objectionable: Prompt
    """Word whose embedding v* starts from."""
    accepted: Prompt
    """Word whose embedding u* starts from."""


class Concept(Frozen):
    """A text concept. People judge its pictures."""

    text: Prompt
    """The words for the concept. Each prompt contains them as whole words, and a soft token can replace them."""
    prompts: Prompts
    """Prompts that candidates are drawn for (if they are drawn) and that removal trains on."""
    feedback: Literal["binary", "ranking"]
    """`binary`: is it objectionable? `ranking`: pictures ordered by how strongly they show the concept."""
    initial: Initial

    @model_validator(mode="after")
    def _prompts_hold_the_text(self):
        for prompt in self.prompts:
            if not mentions(prompt, self.text):
                raise ValueError(f"prompt {prompt!r} does not contain the concept's text {self.text!r} as whole words")
        return self


def _require_each_once(sets: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the path of a set of pictures, or several. Raises ValueError if one is not allowed, or occurs twice."""
    paths = _as_tuple(sets)
    for path in map(require_inside_project, paths):
        if Path(path).parts[:1] in ((), ("candidates",), ("drawn",)):
            raise ValueError(f"the pipeline writes to {path!r}; import into a folder in data/candidates instead")
    if not paths or len({Path(path) for path in paths}) < len(paths):
        raise ValueError("a path, or a list of different paths, is expected")
    return sets


def _as_tuple(sets: str | tuple[str, ...]) -> tuple[str, ...]:
    return (sets,) if isinstance(sets, str) else sets


class Candidates(Frozen):
    """Where the pictures that people judge come from: each concept is in one of the two mappings, or in both."""

    drawn: dict[Name, Annotated[int, Field(ge=1, le=100_000)]]
    """Pictures that `generate` draws for each of the concept's prompts."""
    imported: dict[Name, Annotated[str | tuple[str, ...], AfterValidator(_require_each_once)]]
    """Folder that `hfi candidates import` or `hfi round` made from existing pictures, or a list of such folders. DVC
    tracks each."""

    @property
    def are_joined(self) -> bool:
        """Whether a concept's candidates come from several places, so that a stage joins them."""
        lists = any(not isinstance(sets, str) for sets in self.imported.values())
        return lists or not self.drawn.keys().isdisjoint(self.imported)

    def sets_of(self, concept: str) -> tuple[str, ...]:
        """Return the paths of the imported sets of a concept, in their order; empty if it has none."""
        return _as_tuple(self.imported.get(concept, ()))


class Crowd(Frozen):
    """Simulated annotators: a classifier's answers, with errors of each annotator's own.

    For the embedded model, and for others of the same builder.
    """

    annotators: int = Field(ge=1, le=100)
    error: Annotated[float, Field(ge=0, le=0.5)]
    """Mean share of wrong answers; each annotator's share is drawn around it."""
    cant_tell: Share
    """Share of readable pictures answered with "can't tell"."""
    source: str | None
    """Folder or hub id of the annotators' classifier; null for that of the embedded model."""
    revision: Commit | None
    """A hub id's commit; null for a folder or the embedded model."""
    digest: Digest
    """Digest of the annotators' classifier; `hfi params pin` writes it."""


class Agreement(Frozen):
    """How well annotators must agree: Krippendorff's alpha for binary feedback, Kendall's W for rankings."""

    warn_below: Annotated[float, Field(ge=-1, le=1)]
    """`ingest` warns below this value (Krippendorff 2004 requires .667 even for tentative conclusions)."""
    refuse_below: Annotated[float, Field(ge=-1, le=1)] | None
    """`ingest` fails below this value; null: never."""


class Feedback(Frozen):
    """Where judgements come from, and how they become labels."""

    file: RelativePath
    """JSONL of judgements: written by the simulated crowd, by `hfi feedback snapshot`, or by you; DVC tracks it."""
    simulated: Annotated[dict[Name, Crowd], Field(max_length=1)]
    """The simulated crowd by name. `{}`: the feedback is real, and the graph has no simulation."""
    store: bool
    """`file` is a snapshot of the live store. `hfi run` takes one before it decides what is out of date."""
    database_url: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """SQLAlchemy URL of the live store: `sqlite:///feedback.db` or `postgresql+psycopg://...`."""
    inbox: S3Address | None
    """Where others put exports for the store, `s3://bucket/prefix`. `hfi feedback fetch` and `hfi run` import them."""
    minimum: int = Field(ge=1)
    """Judgements that a picture needs before it gets a label."""
    labels: Literal["majority", "dawid-skene"]
    """Binary labels: the share of votes, or the posterior of Dawid & Skene (1979), which weights each annotator."""
    agreement: Agreement
    held_out_for_attacks: Annotated[float, Field(ge=0, lt=1)]
    """Share of the candidates that only attackers see; inversion and removal never do. 0 only without attacks."""
    held_out_for_judge: Annotated[float, Field(ge=0, lt=1)]
    """Share of the candidates that only `hfi judge fit` learns from, the maker of the judge `probe`. 0 without one."""

    @property
    def held_out(self) -> tuple[float, float]:
        """The shares for attackers and for the judge, as `assign_split` takes them."""
        return self.held_out_for_attacks, self.held_out_for_judge

    @model_validator(mode="after")
    def _room_to_learn(self):
        if sum(self.held_out) >= 1:
            raise ValueError(
                "held_out_for_attacks and held_out_for_judge together hold out every picture. To fix this: lower them, "
                "to .3 and .2 for example"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self):
        if self.store and self.simulated:
            raise ValueError("judgements come either from the store or from the simulated crowd: set simulated to {}")
        if not self.simulated and Path(self.file).parts[:1] == ("feedback",):
            raise ValueError(
                f"file {self.file} is in feedback/, where the simulation writes and which git ignores: name a file "
                "that DVC can track, such as data/feedback/judgements.jsonl"
            )
        if self.inbox and not self.store:
            raise ValueError("the inbox needs the store: set store to true, or inbox to null")
        return self


class Annotation(Frozen):
    """The annotation page; no stage reads it."""

    judgements: int = Field(ge=1, le=100)
    """Judgements requested for each picture, each from a different annotator."""
    ranked: int = Field(ge=2, le=20)
    """Pictures that a ranking shows at once."""
    lease_minutes: float = Field(gt=0, le=1440)
    """Minutes for which a picture is reserved for the annotator who got it."""
    gold: RelativePath | None
    """JSONL of judgements with known answers; the annotator in them is ignored. null: no gold questions."""
    qualification: int = Field(ge=0, le=100)
    """Gold questions that an annotator has to answer first; 0 for none."""
    pass_mark: Share
    """Share of the qualification's answers that must be right."""
    gold_share: Annotated[float, Field(ge=0, le=0.5)]
    """Share of gold questions among the later ones."""
    break_minutes: float = Field(gt=0, le=1440)
    """Minutes of judging after which the page proposes a break."""
    daily_limit: int = Field(ge=1)
    """Largest number of pictures that one annotator gets per day."""
    guidelines: dict[Name, RelativePath]
    """Markdown shown beside the picture, by concept."""
    gallery: dict[Name, RelativePath]
    """Folder of reference pictures shown beside a ranking, by concept."""
    retention_days: int | None = Field(ge=1)
    """Days after which the picture files of judged candidates that nothing needs may be removed; null keeps them."""
