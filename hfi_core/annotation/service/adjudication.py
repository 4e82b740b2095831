"""A lead's decision about a disagreement, kept as the lead's own judgement."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from hfi_core.annotation.service.answers import RejectedAnswer
from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.schema import ADJUDICATION, BinaryJudgement, RankingJudgement

DOES_NOT_APPLY = "none"


def adjudicate(
    store,
    judgement: BinaryJudgement | RankingJudgement,
) -> None:
    """Keep it, once however often it is sent; an earlier answer of the lead's to the same question is superseded.

    Raises Conflict where somebody else's judgement has the id, Refused where others of the lead's keep coming first.
    """
    from hfi_core.feedback.store import Conflict

    for _ in range(3):  # the lead may be deciding in another tab, too
        there = store.get(judgement.id)
        if there is not None and there.annotator == judgement.annotator:
            return
        try:
            store.add(judgement)
            return
        except Conflict as error:
            if error.existing is None or error.existing == judgement.id:
                raise
            judgement = judgement.model_copy(update={"supersedes": error.existing})
    raise RejectedAnswer("The disagreement is being decided elsewhere; load the page again.", "decided_elsewhere")


def binary(
    lead: str, concept: str, key: str, candidate: Candidate, answer: str, note: str, now: datetime
) -> BinaryJudgement:
    """The decision yes, no or can't tell."""
    return _valid(
        BinaryJudgement,
        id=f"{ADJUDICATION}{key}", annotator=lead, concept=concept, kind="binary", picture=candidate.id,
        sha256=candidate.sha256, answer=answer, note=_said(note), answered_at=now,
    )  # fmt: skip


def ranking(
    lead: str,
    concept: str,
    key: str,
    pictures: Sequence[Candidate],
    places: Mapping[str, str],
    note: str,
    now: datetime,
) -> RankingJudgement:
    """The decided order: `places` holds 1, 2, ... or "none" for each picture; equal places are a tie.

    Raises UserError if a picture has no place.
    """
    groups: dict[int, list[str]] = defaultdict(list)
    none: list[str] = []
    for picture in (candidate.id for candidate in pictures):
        place = places.get(picture, "")
        if place == DOES_NOT_APPLY:
            none.append(picture)
        elif place.isascii() and place.isdigit() and 1 <= int(place) <= len(pictures):
            groups[int(place)].append(picture)
        else:
            raise UserError("Give every picture a place, or say that the concept does not apply.")
    ordered = tuple(tuple(groups[place]) for place in sorted(groups))
    return _valid(
        RankingJudgement,
        id=f"{ADJUDICATION}{key}", annotator=lead, concept=concept, kind="ranking", groups=ordered,
        not_applicable=tuple(none), digests={candidate.id: candidate.sha256 for candidate in pictures},
        note=_said(note), answered_at=now,
    )  # fmt: skip


def _said(note: str) -> str | None:
    """The note without control characters, which a database or a terminal may take amiss."""
    return "".join(letter for letter in note if letter in "\n\t" or letter.isprintable()).strip() or None


def _valid(model, /, **fields):
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RejectedAnswer(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
