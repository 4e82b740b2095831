"""What the lead wants to know of a concept: where people disagree, how far they agree, and how each one works.

Adjudications are the lead's own judgements, known by their ids. They count as one more judgement each; here they settle
a disagreement, and are left out of the agreement, since the lead saw what the others had said.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from hfi_core.feedback.schema import BinaryJudgement, Judgement, RankingJudgement, is_adjudication

if TYPE_CHECKING:
    from hfi_core.metrics.intervals import Interval


@dataclass(frozen=True)
class Opinion:
    """What one person said; `places` is, for a ranking, each picture's place (1 is strongest, None does not apply)."""

    annotator: str
    answer: str
    places: tuple[int | None, ...]
    note: str | None
    adjudication: bool


@dataclass(frozen=True)
class Dispute:
    """A question that people answered differently."""

    pictures: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    split: float
    """1 where opinions could not be further apart, near 0 where they almost agree."""

    @property
    def settled(self) -> bool:
        """A lead has decided."""
        return any(opinion.adjudication for opinion in self.opinions)


@dataclass(frozen=True)
class Pace:
    """How one person works: seconds are those between question and answer, where the page noted both."""

    annotator: str
    judgements: int
    median_seconds: float | None
    cant_tell: int


def as_said(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Of all judgements, each person's last answer of their own to a question, and the decisions that count.

    A lead who had answered before supersedes that answer by deciding. It counts no more, and is still what one of the
    people said by themselves: without it a disagreement of two would be gone, and the agreement better than it was.
    """
    every = list(judgements)
    earlier = {one.id: one.supersedes for one in every if one.supersedes}
    counting = {one.id for one in every} - set(earlier.values())
    replaced: set[str] = set()
    for one in every:
        before = None if is_adjudication(one) else one.supersedes
        while before is not None and before not in replaced:
            replaced.add(before)
            before = earlier.get(before)
    return [one for one in every if (one.id in counting if is_adjudication(one) else one.id not in replaced)]


def disputes(judgements: Iterable[Judgement]) -> list[Dispute]:
    """Questions with different answers: the open ones first, among them the widest apart."""
    found = []
    for pictures, same in _by_question(judgements):
        own = [one for one in same if not is_adjudication(one)]
        split = _split(own)
        if split > 0:
            opinions = [_opinion(one, pictures) for one in (*own, *(one for one in same if is_adjudication(one)))]
            found.append(Dispute(pictures, tuple(opinions), split))
    return sorted(found, key=lambda dispute: (dispute.settled, -dispute.split, dispute.pictures))


def agreement(judgements: Iterable[Judgement], kind: str) -> "Interval | None":
    """Krippendorff's alpha (binary) or Kendall's W (ranking) of what people said by themselves."""
    import numpy as np

    from hfi_core.feedback.agreement import alpha_interval, mean_w_interval

    questions = [same for _, same in _by_question(one for one in judgements if not is_adjudication(one))]
    if kind == "binary":
        counts = [[sum(one.answer == answer for one in same) for answer in ("yes", "no")] for same in questions]
        return alpha_interval(np.array(counts, dtype=int).reshape(-1, 2))
    return mean_w_interval(places for same in questions if (places := _common_places(same)) is not None)


def paces(judgements: Iterable[Judgement]) -> list[Pace]:
    """How each annotator works, by pseudonym."""
    by_person: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        if not is_adjudication(one):
            by_person[one.annotator].append(one)
    rows = []
    for annotator, theirs in sorted(by_person.items()):
        seconds = [
            (one.answered_at - one.shown_at).total_seconds() for one in theirs if one.answered_at and one.shown_at
        ]
        unsure = sum(isinstance(one, BinaryJudgement) and one.answer == "cant_tell" for one in theirs)
        rows.append(Pace(annotator, len(theirs), median(seconds) if seconds else None, unsure))
    return rows


def together(rows: Iterable[Pace]) -> list[Pace]:
    """One row a person over several concepts; the median is that of the medians, weighted by their judgements."""
    merged: dict[str, list[Pace]] = defaultdict(list)
    for row in rows:
        merged[row.annotator].append(row)
    found = []
    for annotator, parts in sorted(merged.items()):
        seconds = [part.median_seconds for part in parts for _ in range(part.judgements) if part.median_seconds]
        total = replace(
            parts[0],
            judgements=sum(part.judgements for part in parts),
            cant_tell=sum(part.cant_tell for part in parts),
            median_seconds=median(seconds) if seconds else None,
        )
        found.append(replace(total, annotator=annotator))
    return found


def _by_question(judgements: Iterable[Judgement]) -> list[tuple[tuple[str, ...], list[Judgement]]]:
    ordered = sorted(judgements, key=lambda one: (_pictures(one), one.annotator, one.id))
    return [(pictures, list(same)) for pictures, same in groupby(ordered, key=_pictures)]


def _pictures(judgement: Judgement) -> tuple[str, ...]:
    return tuple(sorted(judgement.pictures))


def _split(same: Sequence[Judgement]) -> float:
    if len(same) < 2:
        return 0.0
    if isinstance(same[0], BinaryJudgement):
        yes, no = (sum(one.answer == answer for one in same) for answer in ("yes", "no"))
        return 2 * min(yes, no) / (yes + no) if yes and no else 0.0
    from hfi_core.feedback.agreement import kendalls_w

    if len({frozenset(one.not_applicable) for one in same}) > 1:
        return 1.0  # whether the concept is there at all comes before how strong it is
    places = _common_places(same)
    w = kendalls_w(places) if places is not None else None
    return 0.0 if w is None else 1 - w


def _common_places(same: Sequence[RankingJudgement]):
    """(annotators, pictures): places of the pictures that all of them placed; None if nothing can be compared."""
    import numpy as np

    places = [{picture: k for k, group in enumerate(one.groups) for picture in group} for one in same]
    common = sorted(set.intersection(*map(set, places)))
    if len(places) < 2 or len(common) < 2:
        return None
    return np.array([[place[picture] for picture in common] for place in places])


def _opinion(judgement: Judgement, pictures: tuple[str, ...]) -> Opinion:
    if isinstance(judgement, BinaryJudgement):
        answer, places = judgement.answer, ()
    else:
        placed = {picture: k for k, group in enumerate(judgement.groups, start=1) for picture in group}
        answer, places = "ranking", tuple(placed.get(picture) for picture in pictures)
    return Opinion(judgement.annotator, answer, places, judgement.note, is_adjudication(judgement))
