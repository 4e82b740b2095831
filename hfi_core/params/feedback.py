"""What people are asked, by whom, and what is made of their answers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from hfi_core.params.values import Digest, Frozen, Name, Prompt, Prompts, RelativePath, S3Address, Share
from hfi_core.prompts import mentions


class Initial(Frozen):
    """The words from which the soft tokens start."""

    objectionable: Prompt
    """Word whose embedding v* starts from."""
    accepted: Prompt
    """Word whose embedding u* starts from."""


class Concept(Frozen):
    """A text concept whose pictures people judge."""

    text: Prompt
    """The words for the concept; each prompt holds them as whole words, and a soft token takes their place."""
    prompts: Prompts
    """Prompts that candidates are drawn for, where they are, and that removal trains on."""
    feedback: Literal["binary", "ranking"]
    """`binary`: is it objectionable? `ranking`: pictures ordered by how strongly they show the concept."""
    initial: Initial

    @model_validator(mode="after")
    def _prompts_hold_the_text(self):
        for prompt in self.prompts:
            if not mentions(prompt, self.text):
                raise ValueError(f"prompt {prompt!r} does not hold the concept's text {self.text!r} as whole words")
        return self


class Candidates(Frozen):
    """Where the pictures come from that people judge: each concept has its own from one of two places."""

    drawn: dict[Name, Annotated[int, Field(ge=1, le=100_000)]]
    """Pictures that `generate` draws for each of the concept's prompts."""
    imported: dict[Name, RelativePath]
    """Folder that `hfi candidates import` made of pictures which exist already; DVC tracks it."""

    @field_validator("imported")
    @classmethod
    def _outside_the_graph(cls, imported):
        for path in imported.values():
            if Path(path).parts[:1] in ((), ("candidates",)):
                raise ValueError(f"{path!r} is where the pipeline writes; import into data/candidates")
        return imported


class Crowd(Frozen):
    """Simulated annotators: a classifier's answer plus each one's own errors. Only for the embedded demo."""

    annotators: int = Field(ge=1, le=100)
    error: Annotated[float, Field(ge=0, le=0.5)]
    """Mean share of wrong answers; each annotator's own rate is drawn around it."""
    cant_tell: Share
    """Share of readable pictures answered with "can't tell"."""
    digest: Digest
    """Digest of the annotators' judge; `hfi params pin` writes it."""


class Agreement(Frozen):
    """How far annotators must agree: Krippendorff's alpha for binary feedback, Kendall's W for rankings."""

    warn_below: Annotated[float, Field(ge=-1, le=1)]
    """`ingest` warns below it (Krippendorff 2004 calls .667 the least for tentative conclusions)."""
    refuse_below: Annotated[float, Field(ge=-1, le=1)] | None
    """`ingest` refuses below it; null never."""


class Feedback(Frozen):
    """Where judgements come from, and how many become one label."""

    file: RelativePath
    """JSONL of judgements: written by the simulated crowd, by `hfi feedback snapshot`, or by you; DVC tracks it."""
    simulated: Annotated[dict[Name, Crowd], Field(max_length=1)]
    """The simulated crowd by name; `{}` with real feedback, and the simulation is gone from the graph."""
    store: bool
    """`file` is a snapshot of the live store: `hfi run` takes one before it asks what is out of date."""
    database_url: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """The live store, as SQLAlchemy names it: `sqlite:///feedback.db` or `postgresql+psycopg://...`."""
    inbox: S3Address | None
    """Where others drop exports for the store, `s3://bucket/prefix`; `hfi feedback fetch` and `hfi run` take them."""
    minimum: int = Field(ge=1)
    """Judgements a picture needs before it gets a label."""
    labels: Literal["majority", "dawid-skene"]
    """Binary labels: the share of votes, or the posterior of Dawid & Skene (1979), which weighs each annotator."""
    agreement: Agreement

    @model_validator(mode="after")
    def _one_source(self):
        if self.store and self.simulated:
            raise ValueError("judgements come from the store or from the simulated crowd: set simulated to {}")
        if not self.simulated and Path(self.file).parts[:1] == ("feedback",):
            raise ValueError(
                f"file {self.file} lies in feedback/, which is the simulation's and which git ignores: name one that "
                "DVC can track, such as data/feedback/judgements.jsonl"
            )
        if self.inbox and not self.store:
            raise ValueError("what comes by the inbox goes to the store: set store to true, or inbox to null")
        return self


class Annotation(Frozen):
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
