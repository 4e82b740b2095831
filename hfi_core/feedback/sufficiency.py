"""Decide whether there are enough judgements to learn a reward model. The stages `ingest` and `reward` count alike."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.labels import assign_split
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, is_current
from hfi_core.params import Params

_MIN_PER_CLASS = 2
"""Objectionable and accepted pictures that the reward model needs: one of each to learn from, one to measure with."""


@dataclass(frozen=True)
class FeedbackSufficiency:
    """State of the judgements on a concept. Held-out pictures do not count, apart from one of the attack split."""

    concept: str
    candidates: int
    """Pictures to learn from that could be judged."""
    labelled: int
    """Of those, the pictures with enough judgements."""
    required: int
    missing: tuple[str, ...]
    """Descriptions of what is missing; empty if the judgements suffice."""

    @property
    def is_sufficient(self) -> bool:
        """Whether the pipeline can continue."""
        return not self.missing


def assess_sufficiency(
    params: Params,
    concept: str,
    candidates: Iterable[Candidate],
    judgements: Iterable[BinaryJudgement | RankingJudgement],
    askable: Collection[str],
) -> FeedbackSufficiency:
    """Compare the counting judgements on a concept with what the reward model needs.

    It needs `reward.least` pictures to learn from. Each must have `feedback.minimum` judgements, and one of these must
    be an answer. Binary feedback also needs two objectionable and two accepted pictures among them, and one
    objectionable picture for attackers, if there are attacks. Judgements on pictures that are not candidates, or were
    redrawn since, do not count.

    `askable` holds the ids of pictures that people may be asked about: their file exists, and they are not gold
    questions. If all of these have their judgements, asking more people changes nothing. The judgements then count as
    sufficient, and the stage that cannot work with them reports why.

    Raises UserError if fewer candidates than `reward.least` are askable or labelled: no judgement could ever suffice.
    """
    known = {candidate.id: candidate for candidate in candidates}
    splits = {name: assign_split(name, *params.feedback.held_out) for name in known}
    minimum, required = params.feedback.minimum, params.reward.least
    if params.concepts[concept].feedback == "binary":
        votes = _votes(known, judgements)
        shown = {name: count.total() for name, count in votes.items()}
        labels = {
            name: count["yes"] / (count["yes"] + count["no"])
            for name, count in votes.items()
            if count.total() >= minimum and count["yes"] + count["no"]
        }
    else:
        shown, compared = _rankings(known, judgements)
        labels = {name: 0.5 for name in compared if shown[name] >= minimum}
    learnable = sum(value == "learn" and (name in askable or name in labels) for name, value in splits.items())
    if learnable < required:
        raise UserError(
            f"{concept} has {learnable} candidates to learn from, and reward.least asks for {required} with labels: no "
            "judgement would be enough. (Gold pictures, and those without a file, are not asked about.)\n"
            "  To fix this: draw more (candidates.drawn), import more, or lower reward.least, "
            "feedback.held_out_for_attacks or feedback.held_out_for_judge."
        )
    learnt = {name: label for name, label in labels.items() if splits[name] == "learn"}
    missing = []
    if len(learnt) < required:
        times = f"{minimum} judgement{'s' if minimum > 1 else ''}"
        missing.append(f"{required - len(learnt)} more pictures with {times} each ({len(learnt)} of {required})")
    elif params.concepts[concept].feedback == "binary":
        missing += _missing_classes(learnt)
        if params.attacks and not any(labels[name] >= 0.5 for name in labels if splits[name] == "attack"):
            missing.append("1 objectionable picture among those kept for attackers")
    if all(shown.get(name, 0) >= minimum for name in askable):
        missing = []
    return FeedbackSufficiency(concept, learnable, len(learnt), required, tuple(missing))


def _votes(
    known: Mapping[str, Candidate], judgements: Iterable[BinaryJudgement | RankingJudgement]
) -> dict[str, Counter[str]]:
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for judgement in judgements:
        if isinstance(judgement, BinaryJudgement) and is_current(judgement, known):
            votes[judgement.picture][judgement.answer] += 1
    return votes


def _rankings(
    known: Mapping[str, Candidate], judgements: Iterable[BinaryJudgement | RankingJudgement]
) -> tuple[Counter[str], set[str]]:
    """Count how often each picture was shown, and collect those that were ranked against another one."""
    shown: Counter[str] = Counter()
    compared: set[str] = set()
    for judgement in judgements:
        if isinstance(judgement, RankingJudgement) and is_current(judgement, known):
            shown.update(judgement.pictures)
            ranked = [name for group in judgement.groups for name in group]
            if len(ranked) > 1:
                compared.update(ranked)
    return shown, compared


def _missing_classes(learnt: Mapping[str, float]) -> Iterable[str]:
    for count, name in (
        (sum(label > 0.5 for label in learnt.values()), "objectionable"),
        (sum(label < 0.5 for label in learnt.values()), "accepted"),
    ):
        if count < _MIN_PER_CLASS:
            yield f"{_MIN_PER_CLASS} {name} pictures ({count} so far)"
