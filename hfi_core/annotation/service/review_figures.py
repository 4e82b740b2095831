"""Keep the lead's figures on a concept up to date without reading every judgement again.

Stored judgements never change. So each is read once, and a later update reads the new ones, and those that answer the
same questions. Only a summary of each question stays in memory.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hfi_core.annotation.service import review_stats
from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.schema import Judgement, is_current

if TYPE_CHECKING:
    from hfi_core.feedback.store import Store
    from hfi_core.metrics.intervals import Interval


@dataclass(frozen=True)
class ReviewFigures:
    """What the review shows of a concept's judgements."""

    agreement: "Interval | None"
    disputes: list[review_stats.Dispute]
    paces: list[review_stats.Pace]


@dataclass(frozen=True)
class _QuestionSummary:
    """What the figures need of the answers to one question."""

    ids: tuple[str, ...]
    dispute: review_stats.Dispute | None
    unit: review_stats.AgreementUnit | None


class FigureKeeper:
    """The figures on one concept with one set of candidates. The caller lets one thread at a time update it."""

    def __init__(self, concept: str, kind: str, candidates: Mapping[str, Candidate]):
        self._concept, self._kind, self._candidates = concept, kind, candidates
        self._id_lines = ""
        self._read_ids: set[str] = set()
        self._summaries: dict[tuple[str, ...], _QuestionSummary] = {}
        self._answers: dict[str, dict[tuple[str, ...], list[review_stats.TimedAnswer]]] = defaultdict(dict)
        """By annotator and question."""
        self._paces: dict[str, list[review_stats.Pace]] = {}
        self._figures: ReviewFigures | None = None

    def update(self, store: "Store") -> ReviewFigures:
        """Return the figures over the judgements that the store has now."""
        id_lines = store.read_id_lines(self._concept)
        if id_lines != self._id_lines or self._figures is None:
            self._read(store, set(filter(None, id_lines.split("\n"))))
            self._id_lines, self._figures = id_lines, self._summarize()
        return self._figures

    def _read(self, store: "Store", ids: set[str]) -> None:
        if self._read_ids - ids:  # somebody was forgotten
            self._read_ids.clear()
            self._summaries.clear()
            self._answers.clear()
            self._paces.clear()
        new_ids = ids - self._read_ids
        if new_ids:
            # One pass over the table is faster than many queries by id.
            everything = not self._read_ids
            self._add(store, store.read_judgements(self._concept) if everything else store.read_by_ids(new_ids))

    def _add(self, store: "Store", judgements: Iterable[Judgement]) -> None:
        by_question: dict[tuple[str, ...], dict[str, Judgement]] = defaultdict(dict)
        for judgement in judgements:
            self._read_ids.add(judgement.id)
            if judgement.kind == self._kind and is_current(judgement, self._candidates):
                by_question[review_stats.make_group_key(judgement)][judgement.id] = judgement
        earlier_ids = [id for key in by_question if key in self._summaries for id in self._summaries[key].ids]
        for judgement in store.read_by_ids(earlier_ids):
            by_question[review_stats.make_group_key(judgement)].setdefault(judgement.id, judgement)
        annotators: set[str] = set()
        for key, answers in by_question.items():
            own = review_stats.select_own_answers(answers[id] for id in sorted(answers))
            self._summaries[key] = _QuestionSummary(
                tuple(answers), review_stats.find_dispute(own), review_stats.make_agreement_unit(own)
            )
            annotators.update(self._time(key, own))
        for annotator in annotators:
            own_answers = self._answers[annotator].values()
            self._paces[annotator] = review_stats.measure_paces(answer for part in own_answers for answer in part)

    def _time(self, key: tuple[str, ...], answers: Iterable[Judgement]) -> Iterable[str]:
        """Replace what is known of the answers to a question; return whose pace may have changed.

        Nobody ever has fewer answers to a question than before: an answer is only superseded by another of its author.
        """
        by_annotator: dict[str, list[review_stats.TimedAnswer]] = defaultdict(list)
        for answer in review_stats.time_answers(answers):
            by_annotator[answer[0]].append(answer)
        for annotator, own in by_annotator.items():
            self._answers[annotator][key] = own
        return by_annotator

    def _summarize(self) -> ReviewFigures:
        summaries = [self._summaries[key] for key in sorted(self._summaries)]
        return ReviewFigures(
            review_stats.estimate_agreement(
                [summary.unit for summary in summaries if summary.unit is not None], self._kind
            ),
            review_stats.sort_disputes(summary.dispute for summary in summaries if summary.dispute is not None),
            [pace for annotator in sorted(self._paces) for pace in self._paces[annotator]],
        )
