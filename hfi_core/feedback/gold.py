"""Gold questions: candidates whose answer is known, and which candidates ordinary questions may be about."""

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from pathlib import Path

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.reader import check_judgement, read_judgements, refuse
from hfi_core.feedback.schema import BinaryJudgement, Judgement
from hfi_core.params import Params

CONCORDANT = 0.8
"""Share of the known order's pairs that a ranking must place the same way to be right."""


def question_of(pictures: tuple[str, ...]) -> str:
    """Names a question within its concept, whatever order the pictures were shown in."""
    return " ".join(sorted(pictures))


def read_gold(
    path: Path, params: Params, candidates: Mapping[str, Mapping[str, Candidate]]
) -> dict[str, dict[str, Judgement]]:
    """Known answers by concept and question, of those concepts whose candidates are given.

    Raises UserError that names file, line and remedy of the first mistake.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; annotation.gold in params.yaml names it. Without gold questions: null.")
    known: dict[str, dict[str, Judgement]] = {concept: {} for concept in candidates}
    superseded: set[str] = set()
    lines = list(read_judgements(path))
    superseded.update(judgement.supersedes for _, judgement in lines if judgement.supersedes)
    for number, judgement in lines:
        concept = judgement.concept
        if concept not in known or judgement.id in superseded:
            continue
        check_judgement(path, number, judgement, params.concepts[concept].feedback, candidates[concept])
        question = question_of(judgement.pictures)
        if question in known[concept]:
            refuse(path, number, None, "answers a question that another line answers", "keep one answer to each")
        known[concept][question] = judgement
    return known


def is_right(known: Judgement, answer: Judgement) -> bool:
    """The same answer; for a ranking, the same verdict on who applies and most pairs in the known order."""
    if isinstance(known, BinaryJudgement):
        return known.answer == answer.answer
    if set(known.not_applicable) != set(answer.not_applicable):
        return False
    place = {picture: n for n, group in enumerate(answer.groups) for picture in group}
    pairs = [pair for high, low in combinations(known.groups, 2) for pair in product(high, low)]
    agreeing = sum(place[high] < place[low] for high, low in pairs)
    return agreeing >= CONCORDANT * len(pairs)


def askable_candidates(
    params: Params, concept: str, candidates: Iterable[Candidate], root: Path = Path()
) -> list[Candidate]:
    """Those of a concept's candidates that may be offered as ordinary questions.

    Raises UserError if the gold file that params name is missing or has a mistake.
    """
    rows, gold = {candidate.id: candidate for candidate in candidates}, set()
    if params.annotation.gold:
        known = read_gold(root / params.annotation.gold, params, {concept: rows})[concept]
        gold = {picture for judgement in known.values() for picture in judgement.pictures}
    folder = root / "candidates" / concept
    return [one for one in rows.values() if one.id not in gold and (folder / one.file).is_file()]
