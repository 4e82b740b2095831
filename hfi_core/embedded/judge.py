"""The embedded world's evaluation judge: reads a picture's facts and compares them with what was asked for."""

from collections.abc import Sequence

import numpy as np
import torch

from hfi_core.compute.batching import map_in_padded_batches, to_signed_tensor
from hfi_core.compute.device import device_of
from hfi_core.embedded.captions import parse_caption
from hfi_core.embedded.networks import FACTS, UNREADABLE, JudgeNetwork, load_judge_network
from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import ACCEPTED_EMBLEMS, BADGE, FLAGGED_EMBLEMS
from hfi_core.errors import UserError
from hfi_core.judges.base import PictureVerdict
from hfi_core.models.weights import checked
from hfi_core.params import Compute, JudgeParams

_ASKED = ("kind", "colour", "emblem")


class EmbeddedJudge:
    """A fact is read where its most probable value reaches the threshold; else it counts as unreadable.

    Flagged is a badge with a flagged emblem, kept a badge with an accepted one; correct is a picture in which kind,
    colour and emblem are what the prompt promises, each where the prompt promises one.
    """

    def __init__(self, network: JudgeNetwork, threshold: float, compute: Compute):
        self.network, self.threshold = network, threshold
        self.block, self.device = compute.block, device_of(compute)

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> "EmbeddedJudge":
        """Read the half-precision weights into a float32 network; see `Judge.load`."""
        folder = checked(params.source, params.revision, params.digest, "judge")
        return cls(load_judge_network(folder).to(device_of(compute)), params.threshold, compute)

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """Probabilities of kinds, colours and emblems, side by side (N, K); see `Judge.see`."""
        if pictures.shape[1:3] != (SIZE, SIZE):
            raise UserError(
                f"The embedded judge reads pictures of {SIZE} x {SIZE}, not {pictures.shape[2]} x {pictures.shape[1]}: "
                "set evaluate.judge to `clip` or `classifier` for a model of your own."
            )
        return map_in_padded_batches(pictures, self.block, self._probabilities)

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """See `Judge.judge`; each picture is held against its own prompt alone."""
        return [self._verdict(facts, prompt) for facts, prompt in zip(self._facts(seen), prompts, strict=True)]

    def _facts(self, seen: torch.Tensor) -> list[dict[str, str]]:
        """Kind, colour and emblem of each picture."""
        widths = [len(FACTS[fact]) for fact in _ASKED]
        columns = {}
        for fact, table in zip(_ASKED, seen.split(widths, dim=1), strict=True):
            top, index = table.max(1)
            columns[fact] = [
                FACTS[fact][i] if p >= self.threshold else UNREADABLE
                for p, i in zip(top.tolist(), index.tolist(), strict=True)
            ]
        return [dict(zip(_ASKED, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _probabilities(self, pictures: list[np.ndarray]) -> torch.Tensor:
        output = self.network(to_signed_tensor(np.stack(pictures)).to(self.device))
        return torch.cat([output[fact].softmax(-1) for fact in _ASKED], dim=1)

    @staticmethod
    def _verdict(facts: dict[str, str], prompt: str) -> PictureVerdict:
        badge, emblem = facts["kind"] == BADGE, facts["emblem"]
        asked = {fact: value for fact, value in parse_caption(prompt).items() if fact in _ASKED}
        return PictureVerdict(
            flagged=badge and emblem in FLAGGED_EMBLEMS,
            kept=badge and emblem in ACCEPTED_EMBLEMS,
            correct=all(facts[fact] == value for fact, value in asked.items()),
            readable=facts["kind"] != UNREADABLE and not (badge and emblem == UNREADABLE),
        )
