"""Summarize a concept for the lead: where people disagree, how well they agree, and how each annotator works.

A lead's decisions are judgements of their own, with ids that begin with `ADJUDICATION_PREFIX`. Each counts as one more
judgement. Here a decision closes a disagreement. It is left out of the agreement, because the lead had seen the other
answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from hfi_core.feedback.schema import BinaryJudgement, Judgement, RankingJudgement, is_adjudication

if TYPE_CHECKING:
    from hfi_core.metrics.intervals import Interval


@dataclass(frozen=True)
class Opinion:
    """One person's answer. For a ranking, `places` has each picture's place (1 is strongest; None: does not apply)."""

    annotator: str
    answer: str
    places: tuple[int | None, ...]
    note: str | None
    is_decision: bool
    """A lead gave this answer as the decision of the dispute."""


@dataclass(frozen=True)
class Dispute:
    """A question that people answered differently."""

    pictures: tuple[str, ...]
    opinions: tuple[Opinion, ...]
    disagreement: float
    """From 0 (all agree) to 1 (the opinions are as far apart as possible)."""

    @property
    def is_decided(self) -> bool:
        """Whether a lead has decided the dispute."""
        return any(opinion.is_decision for opinion in self.opinions)


@dataclass(frozen=True)
class Pace:
    """How one person works. The seconds run from the question to the answer, where both times are known.

    Imported judgements, and those of earlier releases, may have an answer before its question. Those are not timed.
    """

    annotator: str
    judgements: int
    median_seconds: float | None
    cant_tell: int


def select_own_answers(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Return each person's last own answer to each question, and the decisions that count.

    A lead's decision supersedes the answer that the lead gave before. That answer no longer counts, but it is still an
    independent answer: without it a disagreement of two people would disappear, and the agreement would look too good.
    """
    judgements = list(judgements)
    supersedes = {judgement.id: judgement.supersedes for judgement in judgements if judgement.supersedes}
    counting = {judgement.id for judgement in judgements} - set(supersedes.values())
    replaced: set[str] = set()
    for judgement in judgements:
        earlier = None if is_adjudication(judgement) else judgement.supersedes
        while earlier is not None and earlier not in replaced:
            replaced.add(earlier)
            earlier = supersedes.get(earlier)
    return [
        judgement
        for judgement in judgements
        if (judgement.id in counting if is_adjudication(judgement) else judgement.id not in replaced)
    ]


def find_disputes(judgements: Iterable[Judgement]) -> list[Dispute]:
    """Return the questions with different answers: undecided ones first, then by decreasing disagreement."""
    disputes = []
    for pictures, answers in _group_by_question(judgements):
        decisions = [answer for answer in answers if is_adjudication(answer)]
        own = [answer for answer in answers if not is_adjudication(answer)]
        disagreement = _measure_disagreement(own)
        if disagreement > 0:
            opinions = tuple(_opinion(answer, pictures) for answer in own + decisions)
            disputes.append(Dispute(pictures, opinions, disagreement))
    return sorted(disputes, key=lambda dispute: (dispute.is_decided, -dispute.disagreement, dispute.pictures))


def estimate_agreement(judgements: Iterable[Judgement], kind: str) -> "Interval | None":
    """Return Krippendorff's alpha (binary) or Kendall's W (ranking) of people's own answers, without decisions."""
    import numpy as np

    from hfi_core.feedback.agreement import alpha_interval, mean_w_interval

    own = (judgement for judgement in judgements if not is_adjudication(judgement))
    questions = [answers for _, answers in _group_by_question(own)]
    if kind == "binary":
        counts = [
            [sum(judgement.answer == answer for judgement in _binary(answers)) for answer in ("yes", "no")]
            for answers in questions
        ]
        return alpha_interval(np.array(counts, dtype=int).reshape(-1, 2))
    return mean_w_interval(
        places for answers in questions if (places := _common_places(_rankings(answers))) is not None
    )


def measure_paces(judgements: Iterable[Judgement]) -> list[Pace]:
    """Return how each annotator works, in the order of their pseudonyms."""
    by_annotator: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        if not is_adjudication(judgement):
            by_annotator[judgement.annotator].append(judgement)
    paces = []
    for annotator, own in sorted(by_annotator.items()):
        seconds = [
            (judgement.answered_at - judgement.shown_at).total_seconds()
            for judgement in own
            if judgement.answered_at and judgement.shown_at and judgement.answered_at >= judgement.shown_at
        ]
        cant_tell = sum(isinstance(judgement, BinaryJudgement) and judgement.answer == "cant_tell" for judgement in own)
        paces.append(Pace(annotator, len(own), median(seconds) if seconds else None, cant_tell))
    return paces


def merge_paces(paces: Iterable[Pace]) -> list[Pace]:
    """Return one pace a person over several concepts. The medians are weighted by judgements."""
    by_annotator: dict[str, list[Pace]] = defaultdict(list)
    for pace in paces:
        by_annotator[pace.annotator].append(pace)
    merged = []
    for annotator, parts in sorted(by_annotator.items()):
        seconds = [
            part.median_seconds for part in parts for _ in range(part.judgements) if part.median_seconds is not None
        ]
        judgements, cant_tell = (sum(getattr(part, name) for part in parts) for name in ("judgements", "cant_tell"))
        merged.append(Pace(annotator, judgements, median(seconds) if seconds else None, cant_tell))
    return merged


def _group_by_question(judgements: Iterable[Judgement]) -> list[tuple[tuple[str, ...], list[Judgement]]]:
    ordered = sorted(judgements, key=lambda judgement: (_pictures(judgement), judgement.annotator, judgement.id))
    return [(pictures, list(answers)) for pictures, answers in groupby(ordered, key=_pictures)]


def _pictures(judgement: Judgement) -> tuple[str, ...]:
    return tuple(sorted(judgement.pictures))


def _measure_disagreement(answers: Sequence[Judgement]) -> float:
    if len(answers) < 2:
        return 0.0
    if isinstance(answers[0], BinaryJudgement):
        yes, no = (sum(judgement.answer == answer for judgement in _binary(answers)) for answer in ("yes", "no"))
        return 2 * min(yes, no) / (yes + no) if yes and no else 0.0
    from hfi_core.feedback.agreement import kendalls_w

    rankings = _rankings(answers)
    if len({frozenset(ranking.not_applicable) for ranking in rankings}) > 1:
        return 1.0  # whether the concept is visible at all matters more than how strong it is
    places = _common_places(rankings)
    w = kendalls_w(places) if places is not None else None
    return 0.0 if w is None else 1 - w


def _binary(answers: Iterable[Judgement]) -> list[BinaryJudgement]:
    return [answer for answer in answers if isinstance(answer, BinaryJudgement)]


def _rankings(answers: Iterable[Judgement]) -> list[RankingJudgement]:
    return [answer for answer in answers if isinstance(answer, RankingJudgement)]


def _common_places(answers: Sequence[RankingJudgement]):
    """Return the places of the pictures that everybody placed, (annotators, pictures); None below two of either."""
    import numpy as np

    places = [{picture: k for k, group in enumerate(answer.groups) for picture in group} for answer in answers]
    common = sorted(set.intersection(*map(set, places)))
    if len(places) < 2 or len(common) < 2:
        return None
    return np.array([[place[picture] for picture in common] for place in places])


def _opinion(judgement: Judgement, pictures: tuple[str, ...]) -> Opinion:
    decided = is_adjudication(judgement)
    if isinstance(judgement, BinaryJudgement):
        return Opinion(judgement.annotator, judgement.answer, (), judgement.note, decided)
    placed = {picture: k for k, group in enumerate(judgement.groups, start=1) for picture in group}
    places = tuple(placed.get(picture) for picture in pictures)
    return Opinion(judgement.annotator, "ranking", places, judgement.note, decided)
