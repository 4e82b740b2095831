"""A judgement: what one person says about one picture, or about the order of several.

`docs/reference/feedback-format.md` documents the format; a test holds the two equal.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from hfi_core.candidates.manifest import Candidate, PictureId, Sha256
from hfi_core.params import Name

JudgementId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,299}$")]
Annotator = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Answer = Literal["yes", "no", "cant_tell"]

_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _require_iso(value: Any) -> Any:
    """Raise ValueError for what does not begin with a day: pydantic takes a number for seconds since 1970."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and _ISO_DAY.match(value)):
        raise ValueError("is not a time in ISO 8601 with its offset from UTC, such as 2026-11-24T09:12:07+00:00")
    return value


def _require_utc(moment: datetime) -> datetime:
    """Raise ValueError for a time that UTC cannot express: the store sorts answers by their time in UTC."""
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years 1 to 9999 in UTC") from error
    return moment


Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_require_iso), AfterValidator(_require_utc)]
"""A time with its zone. (Behind a validator, pydantic's strict mode takes no text.)"""

MAX_PICTURES = 100
"""Pictures per ranking. People cannot order more, and the number of pairs grows with its square."""


class _Judgement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    id: JudgementId
    """Names the judgement. No two ids in a file are equal."""
    annotator: Annotator
    """Who judged: a name, a pseudonym or a number."""
    concept: Name
    """The concept's name in `params.yaml`."""
    shown_at: Time | None = None
    """When the question was shown: ISO 8601 with its offset from UTC."""
    answered_at: Time | None = None
    """When it was answered."""
    supersedes: JudgementId | None = None
    """Id of an earlier judgement by the same annotator on the same question. The earlier one no longer counts."""
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    """Free text. Nothing is computed from it."""
    simulated: bool = False
    """Whether a program answered, not a person."""


class BinaryJudgement(_Judgement):
    """Is this picture objectionable?"""

    kind: Literal["binary"]
    """The question that was asked."""
    picture: PictureId
    """The candidate's id."""
    sha256: Sha256
    """Digest of the picture file that was shown."""
    answer: Answer
    """`yes` (objectionable), `no` (accepted), or `cant_tell`, which is not a vote."""

    @property
    def pictures(self) -> tuple[str, ...]:
        """The id of the one picture that was shown."""
        return (self.picture,)

    @property
    def picture_digests(self) -> Mapping[str, str | None]:
        """Digest of the picture that was shown, by picture id."""
        return {self.picture: self.sha256}


class RankingJudgement(_Judgement):
    """Pictures ordered by how strongly they show the concept."""

    kind: Literal["ranking"]
    """The question that was asked."""
    groups: tuple[Annotated[tuple[PictureId, ...], Field(min_length=1)], ...]
    """Groups of candidates' ids, the strongest first. Pictures in one group are tied."""
    not_applicable: tuple[PictureId, ...] = ()
    """Pictures that were shown and cannot be ranked."""
    digests: dict[PictureId, Sha256] | None = None
    """Digest of each picture file that was shown, by the candidate's id."""

    @model_validator(mode="after")
    def _validate_pictures(self):
        pictures = self.pictures
        if not pictures:
            raise ValueError("no picture is ranked or not_applicable")
        if len(pictures) > MAX_PICTURES:
            raise ValueError(f"{len(pictures)} pictures are ranked; at most {MAX_PICTURES} are allowed")
        if len(set(pictures)) < len(pictures):
            repeated = next(picture for picture in pictures if pictures.count(picture) > 1)
            raise ValueError(f"picture {repeated!r} appears twice")
        if self.digests is not None and self.digests.keys() != set(pictures):
            raise ValueError("digests must name exactly the pictures that are ranked or not_applicable")
        return self

    @property
    def pictures(self) -> tuple[str, ...]:
        """The ids of all pictures that were shown."""
        return tuple(picture for group in self.groups for picture in group) + self.not_applicable

    @property
    def picture_digests(self) -> Mapping[str, str | None]:
        """Digest of each picture that was shown, by picture id; None where it was not recorded."""
        return self.digests or dict.fromkeys(self.pictures)


Judgement = Annotated[BinaryJudgement | RankingJudgement, Field(discriminator="kind")]

ADJUDICATION_PREFIX = "adjudication."
"""Prefix of the ids of a lead's decisions. They count as any judgement does, but not towards agreement: the lead saw
the others' answers first."""

_ADAPTER: TypeAdapter[BinaryJudgement | RankingJudgement] = TypeAdapter(Judgement)


def parse_judgement(line: str) -> BinaryJudgement | RankingJudgement:
    """Parse one line of a feedback file. Raises pydantic's ValidationError if it is not a judgement."""
    return _ADAPTER.validate_json(line)


def is_adjudication(judgement: BinaryJudgement | RankingJudgement) -> bool:
    """Return whether a judgement is a lead's decision about a disagreement."""
    return judgement.id.startswith(ADJUDICATION_PREFIX)


def dump_judgement(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    """Return a judgement as the JSON object of its line in a feedback file, without empty fields."""
    return judgement.model_dump(mode="json", exclude_none=True)


def is_current(judgement: BinaryJudgement | RankingJudgement, candidates: Mapping[str, Candidate]) -> bool:
    """Return whether each judged picture is still a candidate with the same digest.

    A picture whose digest was not recorded only has to be a candidate.
    """
    return all(
        picture in candidates and digest in (None, candidates[picture].sha256)
        for picture, digest in judgement.picture_digests.items()
    )
