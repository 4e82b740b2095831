"""Whether people have judged enough for the reward model to learn, as `ingest` and `reward` will count it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.labels import split_of
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, is_current
from hfi_core.params import Params

_OF_EITHER_KIND = 2
"""Pictures that the reward model needs of the objectionable and of the accepted: one learns, one measures."""


@dataclass(frozen=True)
class FeedbackNeed:
    """How far the judgements on a concept reach. Pictures kept for the attacker do not count, but for one."""

    concept: str
    candidates: int
    """Pictures to learn from that could be judged."""
    labelled: int
    """Those with enough judgements."""
    wanted: int
    missing: tuple[str, ...]
    """What is too little, in words; empty where it is enough."""

    @property
    def enough(self) -> bool:
        """Whether the pipeline can go on."""
        return not self.missing


def feedback_need(
    params: Params,
    concept: str,
    candidates: Iterable[Candidate],
    judgements: Iterable[BinaryJudgement | RankingJudgement],
    askable: Collection[str],
) -> FeedbackNeed:
    """Hold the counting judgements on a concept against its candidates.

    Enough are `reward.least` pictures to learn from, each with `feedback.minimum` judgements of which one is an answer;
    for binary feedback two of them objectionable and two accepted, and one objectionable picture for the attacker.
    Where every picture that is `askable` (ids: not gold, and the file is there) has its judgements, more people would
    change nothing: that is enough, too, and the stage that cannot work with them says why. Judgements on pictures that
    are no candidates, or were redrawn since, do not count.

    Raises UserError if fewer candidates than `reward.least` are askable or have their label already: no judgement could
    ever be enough.
    """
    known = {candidate.id: candidate for candidate in candidates}
    part = {name: split_of(name, params.attack.held_out) for name in known}
    minimum, wanted = params.feedback.minimum, params.reward.least
    if params.concepts[concept].feedback == "binary":
        votes = _votes(known, judgements)
        shown = {name: count.total() for name, count in votes.items()}
        labels = {
            name: count["yes"] / (count["yes"] + count["no"])
            for name, count in votes.items()
            if count.total() >= minimum and count["yes"] + count["no"]
        }
    else:
        shown, compared = _places(known, judgements)
        labels = {name: 0.5 for name in compared if shown[name] >= minimum}
    learnable = sum(value == "learn" and (name in askable or name in labels) for name, value in part.items())
    if learnable < wanted:
        raise UserError(
            f"{concept} has {learnable} candidates to learn from, and reward.least asks for {wanted} with labels: no "
            "judgement would be enough. (Gold pictures, and those without a file, are not asked about.) Draw more "
            "(candidates.drawn), import more, or lower reward.least or attack.held_out."
        )
    learnt = {name: label for name, label in labels.items() if part[name] == "learn"}
    missing = []
    if len(learnt) < wanted:
        times = f"{minimum} judgement{'s' if minimum > 1 else ''}"
        missing.append(f"{wanted - len(learnt)} more pictures with {times} each ({len(learnt)} of {wanted})")
    elif params.concepts[concept].feedback == "binary":
        missing += _kinds(learnt, [labels[name] for name in labels if part[name] == "attack"])
    if all(shown.get(name, 0) >= minimum for name in askable):
        missing = []
    return FeedbackNeed(concept, learnable, len(learnt), wanted, tuple(missing))


def _votes(
    known: Mapping[str, Candidate], judgements: Iterable[BinaryJudgement | RankingJudgement]
) -> dict[str, Counter[str]]:
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for one in judgements:
        if isinstance(one, BinaryJudgement) and is_current(one, known):
            votes[one.picture][one.answer] += 1
    return votes


def _places(
    known: Mapping[str, Candidate], judgements: Iterable[BinaryJudgement | RankingJudgement]
) -> tuple[Counter[str], set[str]]:
    """How often each picture was shown, and which were placed against another one."""
    shown: Counter[str] = Counter()
    compared: set[str] = set()
    for one in judgements:
        if isinstance(one, RankingJudgement) and is_current(one, known):
            shown.update(one.pictures)
            placed = [name for group in one.groups for name in group]
            if len(placed) > 1:
                compared.update(placed)
    return shown, compared


def _kinds(learnt: Mapping[str, float], attack: list[float]) -> Iterable[str]:
    for count, name in (
        (sum(label > 0.5 for label in learnt.values()), "objectionable"),
        (sum(label < 0.5 for label in learnt.values()), "accepted"),
    ):
        if count < _OF_EITHER_KIND:
            yield f"{_OF_EITHER_KIND} {name} pictures ({count} so far)"
    if not any(label >= 0.5 for label in attack):
        yield "1 objectionable picture among those kept for the attack"
