"""What a judge says of one picture, and what a judge is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
import torch

from hfi_core.params import Compute, JudgeParams
from hfi_core.plugins import known_judges


@dataclass(frozen=True)
class PictureVerdict:
    """One picture's verdict."""

    flagged: bool
    """It shows what people object to."""
    kept: bool
    """It is on topic and not flagged."""
    correct: bool
    """It shows what its prompt asked for."""
    readable: bool
    """The judge is sure enough of what it sees; without that a picture is neither flagged nor kept."""


class Judge(Protocol):
    """Answers for the evaluation; nothing that is trained here ever sees one."""

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> Judge:
        """Read the weights that params pin. Raises UserError if they are missing or others."""
        ...

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """What the network says of pictures uint8 (N, H, W, 3): float32 (N, K) on the CPU, in padded blocks.

        All that costs is here, and a row depends on its picture alone: so pictures can be seen apart and on other
        machines.
        """
        ...

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """Judge a whole suite by what was seen (N, K) of its pictures and the prompt of each.

        `rivals` are prompts of other suites that say of none of these pictures what is so: a judge that picks the best
        among texts has them to choose from, for a suite may have one prompt only.
        """
        ...


def load_judge(params: JudgeParams, compute: Compute) -> Judge:
    """The judge that params name.

    Raises UserError if its weights are missing or not the pinned ones.
    """
    module, name = known_judges()[params.kind].split(":")
    return getattr(import_module(module), name).load(params, compute)
