"""Summarize a concept for the lead: where people disagree, how well they agree, and how each annotator works.

A lead's decisions are judgements of their own, with ids that begin with `ADJUDICATION_PREFIX`. Each counts as one more
judgement. Here a decision closes a disagreement. It is left out of the agreement, because the lead had seen the other
answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
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

    @cached_property  # a review asks each of thousands
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


AgreementUnit = tuple
"""What one question contributes to the agreement: (yes, no), or Kendall's W and each annotator's places of the
pictures."""

_MAX_BOOTSTRAPPED = 500
"""Up to so many questions each resample draws questions, as `hfi feedback stats` does. It draws more by their number of
equal ones: the same distribution in a fraction of the time, so the interval may differ in the third digit."""

TimedAnswer = tuple[str, float | None, bool]
"""What one answer contributes to a pace: annotator, seconds, and whether it is "can't tell"."""


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


def find_dispute(answers: Iterable[Judgement]) -> Dispute | None:
    """Return the dispute among the answers to one question; None if people agree."""
    answers = sorted(answers, key=lambda answer: (answer.annotator, answer.id))
    decisions = [answer for answer in answers if is_adjudication(answer)]
    own = [answer for answer in answers if not is_adjudication(answer)]
    disagreement = _measure_disagreement(own)
    if disagreement == 0:
        return None
    pictures = make_group_key(own[0])
    return Dispute(pictures, tuple(_opinion(answer, pictures) for answer in own + decisions), disagreement)


def sort_disputes(disputes: Iterable[Dispute]) -> list[Dispute]:
    """Return undecided disputes first, then by decreasing disagreement."""
    return sorted(disputes, key=lambda dispute: (dispute.is_decided, -dispute.disagreement, dispute.pictures))


def make_agreement_unit(answers: Sequence[Judgement]) -> AgreementUnit | None:
    """Return what the answers to one question contribute to the agreement; None if they contribute nothing."""
    own = [judgement for judgement in answers if not is_adjudication(judgement)]
    if not own:
        return None
    if isinstance(own[0], BinaryJudgement):
        yes, no = (sum(judgement.answer == answer for judgement in _binary(own)) for answer in ("yes", "no"))
        return yes, no
    places = _common_places(_rankings(own))
    if places is None:
        return None
    from hfi_core.feedback.agreement import kendalls_w

    return kendalls_w(places), tuple(map(tuple, places.tolist()))


def estimate_agreement(units: Sequence[AgreementUnit], kind: str) -> "Interval | None":
    """Return Krippendorff's alpha (binary) or Kendall's W (ranking), from what each question contributes."""
    import numpy as np

    from hfi_core.feedback.agreement import alpha_interval, krippendorff_alpha, mean_w_interval

    if kind == "binary":
        counts = np.array(units, dtype=int).reshape(-1, 2)
        paired = counts[counts.sum(1) > 1]
        value = krippendorff_alpha(paired, "nominal")
        if len(paired) <= _MAX_BOOTSTRAPPED or value is None or value == 1:
            return alpha_interval(counts)
        return _bootstrap_patterns(value, paired, _alphas_of_weights)
    ws = np.array([w for w, _ in units if w is not None])
    if len(ws) <= _MAX_BOOTSTRAPPED or ws.mean() == 1:
        return mean_w_interval(np.array(places) for _, places in units)
    return _bootstrap_patterns(float(ws.mean()), ws[:, None], lambda values, weights: weights @ values[:, 0] / len(ws))


def _bootstrap_patterns(value: float, units, statistic) -> "Interval":
    """Return the percentile interval of a bootstrap over many units (N, C), of which most are equal to others.

    A resample is a multinomial draw of how often each distinct unit occurs. `statistic` maps the distinct units (K, C)
    and the draws (resamples, K) to one value per resample; NaN where it is undefined.
    """
    import numpy as np

    from hfi_core.feedback.agreement import CONFIDENCE_LEVEL
    from hfi_core.metrics.intervals import Interval

    patterns, counts = np.unique(units, axis=0, return_counts=True)
    weights = np.random.default_rng(0).multinomial(len(units), counts / len(units), size=1000)
    values = statistic(patterns, weights)
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), len(units))


def _alphas_of_weights(patterns, weights):
    """Return Krippendorff's alpha (nominal) of each draw of (yes, no) counts."""
    import numpy as np

    yes, no = patterns.T
    observed = weights @ (2 * yes * no / (yes + no - 1))
    totals = weights @ patterns
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (totals.sum(1) - 1) * observed / (2 * totals[:, 0] * totals[:, 1])


def time_answers(judgements: Iterable[Judgement]) -> Iterator[TimedAnswer]:
    """Yield what people's own answers contribute to their pace."""
    for judgement in judgements:
        if is_adjudication(judgement):
            continue
        shown, answered = judgement.shown_at, judgement.answered_at
        seconds = (answered - shown).total_seconds() if shown and answered and answered >= shown else None
        is_unsure = isinstance(judgement, BinaryJudgement) and judgement.answer == "cant_tell"
        yield judgement.annotator, seconds, is_unsure


def measure_paces(answers: Iterable[TimedAnswer]) -> list[Pace]:
    """Return how each annotator works, from what each answer contributes, in the order of their pseudonyms."""
    by_annotator: dict[str, list[TimedAnswer]] = defaultdict(list)
    for answer in answers:
        by_annotator[answer[0]].append(answer)
    paces = []
    for annotator, own in sorted(by_annotator.items()):
        seconds = [seconds for _, seconds, _ in own if seconds is not None]
        cant_tell = sum(is_unsure for *_, is_unsure in own)
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


def make_group_key(judgement: Judgement) -> tuple[str, ...]:
    """Return the pictures of a judgement's question."""
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
