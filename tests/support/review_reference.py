"""Compute the figures of a review from all judgements at once, as a reference for those that are updated."""

from collections.abc import Iterable
from itertools import groupby

from hfi_core.annotation.service import review_stats
from hfi_core.feedback.schema import Judgement
from hfi_core.metrics.intervals import Interval


def find_disputes(judgements: Iterable[Judgement]) -> list[review_stats.Dispute]:
    """Return the questions with different answers: undecided ones first, then by decreasing disagreement."""
    disputes = map(review_stats.find_dispute, _group_by_question(judgements))
    return review_stats.sort_disputes(dispute for dispute in disputes if dispute is not None)


def estimate_agreement(judgements: Iterable[Judgement], kind: str) -> Interval | None:
    """Return Krippendorff's alpha (binary) or Kendall's W (ranking) of people's own answers, without decisions."""
    units = map(review_stats.make_agreement_unit, _group_by_question(judgements))
    return review_stats.estimate_agreement([unit for unit in units if unit is not None], kind)


def measure_paces(judgements: Iterable[Judgement]) -> list[review_stats.Pace]:
    """Return how each annotator works, in the order of their pseudonyms."""
    return review_stats.measure_paces(review_stats.time_answers(judgements))


def _group_by_question(judgements: Iterable[Judgement]) -> list[list[Judgement]]:
    ordered = sorted(judgements, key=lambda row: (review_stats.make_group_key(row), row.annotator, row.id))
    return [list(answers) for _, answers in groupby(ordered, key=review_stats.make_group_key)]
