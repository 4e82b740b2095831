"""Judgements and candidates to fill a store with."""

from typing import Any

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement

SHA = "5c" * 32
CONCEPT = "badge"


def binary(id: str, annotator: str = "ana", picture: str = "p1", answer: str = "yes", **more: Any) -> BinaryJudgement:
    """A binary judgement."""
    rest = {"concept": CONCEPT, "sha256": SHA} | more
    return BinaryJudgement(id=id, annotator=annotator, kind="binary", picture=picture, answer=answer, **rest)


def ranking(id: str, annotator: str, *groups: tuple[str, ...], **more: Any) -> RankingJudgement:
    """A ranking."""
    return RankingJudgement(id=id, annotator=annotator, kind="ranking", groups=groups, **({"concept": CONCEPT} | more))


def many(count: int, annotators: int = 3):
    """Judgements on as many pictures as `annotators` can answer `count` times."""
    return (binary(f"j-{n:06d}", f"a{n % annotators}", f"p{n // annotators}") for n in range(count))


def candidates(count: int) -> list[Candidate]:
    """Candidates p0, p1, ..."""
    sampler = {"scheduler": "ddim", "steps": 1, "guidance": 2.0}
    row = {"prompt": "a badge", "seed": 1, "sampler": sampler, "model": "m", "sha256": SHA}
    return [Candidate.model_validate(row | {"id": f"p{n}"}) for n in range(count)]


def ids(judgements) -> list[str]:
    """Their ids."""
    return [one.id for one in judgements]
