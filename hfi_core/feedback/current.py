"""Whether a judgement is about the candidates as they are now: a redrawn picture may keep its id."""

from collections.abc import Mapping

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement


def is_current(judgement: BinaryJudgement | RankingJudgement, candidates: Mapping[str, Candidate]) -> bool:
    """Whether every picture that was judged is a candidate and, where its digest was noted, still the same one."""
    return all(
        picture in candidates and digest in (None, candidates[picture].sha256)
        for picture, digest in judgement.seen.items()
    )
