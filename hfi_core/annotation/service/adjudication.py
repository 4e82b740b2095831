"""Store a lead's decision about a disagreement as the lead's own judgement."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from hfi_core.annotation.service.answers import RejectedAnswer
from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError, first_mistake
from hfi_core.feedback.schema import ADJUDICATION_PREFIX, BinaryJudgement, RankingJudgement
from hfi_core.io.printable_text import remove_unprintable

DOES_NOT_APPLY = "none"


def save_decision(store, judgement: BinaryJudgement | RankingJudgement) -> None:
    """Store a decision. It supersedes the lead's earlier answer to the question; sending it again changes nothing.

    Raises Conflict if another person's judgement has the id, and RejectedAnswer if other decisions of the lead about
    the same question are always faster.
    """
    from hfi_core.feedback.store import Conflict

    for _ in range(3):  # the lead may decide in another tab at the same time
        existing = store.get(judgement.id)
        if existing is not None and existing.annotator == judgement.annotator:
            return
        try:
            store.add(judgement)
            return
        except Conflict as error:
            if error.existing is None or error.existing == judgement.id:
                raise
            judgement = judgement.model_copy(update={"supersedes": error.existing})
    raise RejectedAnswer("The disagreement is being decided in another tab; load the page again.", "decided_elsewhere")


def build_binary_decision(
    lead: str, concept: str, key: str, candidate: Candidate, answer: str, note: str, now: datetime
) -> BinaryJudgement:
    """Return a decision about one picture: yes, no or can't tell."""
    return _validate(
        BinaryJudgement,
        id=f"{ADJUDICATION_PREFIX}{key}", annotator=lead, concept=concept, kind="binary", picture=candidate.id,
        sha256=candidate.sha256, answer=answer, note=remove_unprintable(note), answered_at=now,
    )  # fmt: skip


def build_ranking_decision(
    lead: str,
    concept: str,
    key: str,
    pictures: Sequence[Candidate],
    places: Mapping[str, str],
    note: str,
    now: datetime,
) -> RankingJudgement:
    """Return a decided order: `places` has 1, 2, ... or "none" for each picture; equal places are a tie.

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
    return _validate(
        RankingJudgement,
        id=f"{ADJUDICATION_PREFIX}{key}", annotator=lead, concept=concept, kind="ranking", groups=ordered,
        not_applicable=tuple(none), digests={candidate.id: candidate.sha256 for candidate in pictures},
        note=remove_unprintable(note), answered_at=now,
    )  # fmt: skip


def _validate(model, /, **fields):
    try:
        return model(**fields)
    except ValidationError as error:
        raise RejectedAnswer(first_mistake(error)) from error
