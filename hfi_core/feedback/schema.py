"""A judgement: what one person says about one picture, or about the order of several.

`docs/reference/feedback-format.md` documents the format; a test holds the two equal.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from hfi_core.candidates.manifest import Candidate, PictureId, Sha256
from hfi_core.params import Name

JudgementId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,299}$")]
Annotator = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Answer = Literal["yes", "no", "cant_tell"]

MOST_PICTURES = 100
"""Pictures a ranking: nobody orders more, and the pairs grow with their square."""


class _Judgement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    id: JudgementId
    """Names the judgement; no two in a file are equal."""
    annotator: Annotator
    """Who judged: a name, a pseudonym or a number."""
    concept: Name
    """The concept's name in `params.yaml`."""
    shown_at: AwareDatetime | None = None
    """When the question was shown: ISO 8601 with its offset from UTC."""
    answered_at: AwareDatetime | None = None
    """When it was answered."""
    supersedes: JudgementId | None = None
    """Id of an earlier judgement by the same annotator, which then no longer counts."""
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    """Free text; nothing is made of it."""
    simulated: bool = False
    """Nobody looked: a program answered."""


class BinaryJudgement(_Judgement):
    """Is this picture objectionable?"""

    kind: Literal["binary"]
    """The question that was asked."""
    picture: PictureId
    """The candidate's id."""
    sha256: Sha256
    """Digest of the picture file that was shown."""
    answer: Answer
    """`yes` (objectionable), `no` (accepted), or `cant_tell`, which is no vote."""

    @property
    def pictures(self) -> tuple[str, ...]:
        """Every picture that was shown: this one."""
        return (self.picture,)

    @property
    def seen(self) -> Mapping[str, str | None]:
        """Digest of the picture that was shown, by id."""
        return {self.picture: self.sha256}


class RankingJudgement(_Judgement):
    """Pictures ordered by how strongly they show the concept."""

    kind: Literal["ranking"]
    """The question that was asked."""
    groups: tuple[Annotated[tuple[PictureId, ...], Field(min_length=1)], ...]
    """Groups of candidates' ids, the strongest first; pictures in one group are tied."""
    not_applicable: tuple[PictureId, ...] = ()
    """Pictures that were shown and cannot be placed."""
    digests: dict[PictureId, Sha256] | None = None
    """Digest of each picture file that was shown, by the candidate's id."""

    @model_validator(mode="after")
    def _each_picture_once(self):
        pictures = self.pictures
        if not pictures:
            raise ValueError("no picture is ranked, and none is not_applicable")
        if len(pictures) > MOST_PICTURES:
            raise ValueError(f"{len(pictures)} pictures are ranked; at most {MOST_PICTURES} are read")
        if len(set(pictures)) < len(pictures):
            twice = next(picture for picture in pictures if pictures.count(picture) > 1)
            raise ValueError(f"picture {twice!r} is there twice")
        if self.digests is not None and self.digests.keys() != set(pictures):
            raise ValueError("digests are those of other pictures than the ones that are ranked or not_applicable")
        return self

    @property
    def pictures(self) -> tuple[str, ...]:
        """Every picture that was shown."""
        return tuple(picture for group in self.groups for picture in group) + self.not_applicable

    @property
    def seen(self) -> Mapping[str, str | None]:
        """Digest of every picture that was shown, by id; None where nobody noted it."""
        return self.digests or dict.fromkeys(self.pictures)


Judgement = Annotated[BinaryJudgement | RankingJudgement, Field(discriminator="kind")]

ADJUDICATION = "adjudication."
"""How the ids of a lead's decisions begin. They count as every judgement does, and say nothing of how far people agree:
the lead had seen what the others said."""

_ADAPTER: TypeAdapter[BinaryJudgement | RankingJudgement] = TypeAdapter(Judgement)


def parse_judgement(line: str) -> BinaryJudgement | RankingJudgement:
    """Parse one line of a feedback file; raises pydantic's ValidationError."""
    return _ADAPTER.validate_json(line)


def is_adjudication(judgement: BinaryJudgement | RankingJudgement) -> bool:
    """Whether it is a lead's decision about a disagreement."""
    return judgement.id.startswith(ADJUDICATION)


def row_of(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    """The judgement as a JSON object without empty fields: what a line of a feedback file holds."""
    return judgement.model_dump(mode="json", exclude_none=True)


def is_current(judgement: BinaryJudgement | RankingJudgement, candidates: Mapping[str, Candidate]) -> bool:
    """Whether every picture that was judged is a candidate and, where its digest was noted, still the same one."""
    return all(
        picture in candidates and digest in (None, candidates[picture].sha256)
        for picture, digest in judgement.seen.items()
    )
