"""The interface of a judge, and its verdict on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
import torch

from hfi_core.params import Compute, JudgeParams
from hfi_core.plugins import find_judges


@dataclass(frozen=True)
class Scores:
    """How strongly a judge sees two things in a picture, each in 0 to 1.

    At a threshold t a picture is flagged if `flagged` >= t, and kept if `accepted` >= t > `flagged`. So each rate of
    the judge is a curve over thresholds, and the threshold of params names one point of it.
    """

    flagged: float
    accepted: float


@dataclass(frozen=True)
class PictureVerdict:
    """A judge's verdict on one picture."""

    flagged: bool
    """The picture shows what people object to."""
    kept: bool
    """The picture is on topic and not flagged."""
    correct: bool | None
    """The picture shows what its prompt asks for. None: the judge does not compare pictures with prompts."""
    readable: bool
    """The judge is sure enough of what it sees. An unreadable picture is neither flagged nor kept."""
    kind: str | None = None
    """What the picture shows, of the kinds that the judge tells apart. None: it tells none apart."""
    scores: Scores | None = None
    """The scores from which `flagged` and `kept` follow at the threshold of params. None: the judge has no such scores,
    or its verdict follows from more than these."""
    strength: float | None = None
    """How strongly the picture shows what is flagged, in [0, 1], where this has degrees, as a style has. None: the
    judge measures no strength."""


class Judge(Protocol):
    """A judge of the evaluation. No training ever uses a judge, so that the evaluation is independent of it."""

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> Judge:
        """Load the judge.

        Raises UserError if its weights are missing or do not match the digest in params.
        """
        ...

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """Run the network on pictures uint8 (N, H, W, 3) and return its outputs float32 (N, K) on the CPU.

        All expensive computation belongs in this method. It runs in padded blocks. Each line of the result must depend
        on its own picture only, because pictures may be processed in any grouping and on several machines. It must not
        depend on the words of `JudgedWords`: concepts with words of their own share what was seen.
        """
        ...

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """Judge all pictures of a suite.

        `seen` holds the outputs (N, K) of `see`, `prompts` the prompt of each picture. `rivals` are prompts of other
        suites that are wrong for these pictures. They serve judges that pick the best of several texts, because a suite
        may have only one prompt.
        """
        ...


def load_judge(params: JudgeParams, compute: Compute) -> Judge:
    """Load the judge that params name.

    Raises UserError if its weights are missing or do not match the digest in params.
    """
    module, name = find_judges()[params.kind].split(":")
    return getattr(import_module(module), name).load(params, compute)
