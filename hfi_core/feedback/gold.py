"""Gold questions: candidates whose answer is known. All other candidates may be asked about as ordinary questions."""

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from pathlib import Path

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.reader import check_judgement, read_judgements, reject_line
from hfi_core.feedback.schema import BinaryJudgement, Judgement
from hfi_core.params import Concept, Params

MIN_CONCORDANCE = 0.8
"""Share of the known order's pairs that a correct ranking has to order alike."""


def make_question_key(pictures: tuple[str, ...]) -> str:
    """Return the key of a question within its concept. It does not depend on the order of the pictures."""
    return " ".join(sorted(pictures))


def read_gold(
    path: Path, concepts: Mapping[str, Concept], candidates: Mapping[str, Mapping[str, Candidate]]
) -> dict[str, dict[str, Judgement]]:
    """Read the known answers by concept and question key, for the concepts in `candidates`.

    Raises UserError with file, line and remedy of the first mistake.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing; annotation.gold in operations.yaml names it.\n"
            "  To fix this: bring the file back, or set annotation.gold to null to use no gold questions."
        )
    known: dict[str, dict[str, Judgement]] = {concept: {} for concept in candidates}
    numbered = list(read_judgements(path))
    superseded = {judgement.supersedes for _, judgement in numbered if judgement.supersedes}
    for number, judgement in numbered:
        concept = judgement.concept
        if concept not in known or judgement.id in superseded:
            continue
        check_judgement(path, number, judgement, concepts[concept].feedback, candidates[concept])
        question = make_question_key(judgement.pictures)
        if question in known[concept]:
            reject_line(path, number, None, "answers a question that another line answers", "keep one of the lines")
        known[concept][question] = judgement
    return known


def is_correct(known: Judgement, answer: Judgement) -> bool:
    """Return whether an answer matches the known one.

    A ranking matches if it has the same `not_applicable` pictures and enough pairs in the known order.
    """
    if isinstance(known, BinaryJudgement):
        return isinstance(answer, BinaryJudgement) and known.answer == answer.answer
    if isinstance(answer, BinaryJudgement):
        return False
    if set(known.not_applicable) != set(answer.not_applicable):
        return False
    ranks = {picture: rank for rank, group in enumerate(answer.groups) for picture in group}
    pairs = [pair for high, low in combinations(known.groups, 2) for pair in product(high, low)]
    concordant = sum(ranks[high] < ranks[low] for high, low in pairs)
    return concordant >= MIN_CONCORDANCE * len(pairs)


def list_askable_candidates(
    params: Params, concept: str, candidates: Iterable[Candidate], root: Path = Path(), folder: Path | None = None
) -> list[Candidate]:
    """List the candidates that may be offered as ordinary questions: not gold, and their picture file exists.

    `folder` holds the candidates; by default it is `candidates/CONCEPT` below the project's folder `root`.

    Raises UserError if the gold file in params is missing or has a mistake.
    """
    rows, gold = {candidate.id: candidate for candidate in candidates}, set()
    if params.annotation.gold:
        known = read_gold(root / params.annotation.gold, params.concepts, {concept: rows})[concept]
        gold = {picture for judgement in known.values() for picture in judgement.pictures}
    folder = folder or root / "candidates" / concept
    return [row for row in rows.values() if row.id not in gold and (folder / row.file).is_file()]
