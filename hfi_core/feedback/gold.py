"""Which candidates people can be asked about: none that is asked as gold, and none whose picture is not there."""

from collections.abc import Iterable
from pathlib import Path

from hfi_core.annotation.service.gold_answers import read_gold
from hfi_core.candidates.manifest import Candidate
from hfi_core.params import Params


def askable(params: Params, concept: str, candidates: Iterable[Candidate], root: Path = Path()) -> list[Candidate]:
    """Those of a concept's candidates that may be offered as ordinary questions.

    Raises UserError if the gold file that params name is missing or has a mistake.
    """
    rows, gold = {candidate.id: candidate for candidate in candidates}, set()
    if params.annotation.gold:
        known = read_gold(root / params.annotation.gold, params, {concept: rows})[concept]
        gold = {picture for judgement in known.values() for picture in judgement.pictures}
    folder = root / "candidates" / concept
    return [one for one in rows.values() if one.id not in gold and (folder / one.file).is_file()]
