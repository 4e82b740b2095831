"""The evaluation judge of the embedded model: reads the facts of a picture and compares them with its prompt."""

from collections.abc import Sequence

import numpy as np
import torch

from hfi_core.compute.batching import map_in_padded_batches, to_signed_tensor
from hfi_core.compute.device import device_of
from hfi_core.embedded.captions import parse_caption
from hfi_core.embedded.networks import FACTS, UNREADABLE, JudgeNetwork, load_judge_network
from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import ACCEPTED_EMBLEMS, BADGE, EMBLEMS, FLAGGED_EMBLEMS, KINDS
from hfi_core.errors import UserError
from hfi_core.judges.base import PictureVerdict
from hfi_core.models.weights import locate_pinned
from hfi_core.params import Compute, JudgeParams

_JUDGED_FACTS = ("kind", "colour", "emblem")


class EmbeddedJudge:
    """A judge that reads kind, colour and emblem of a picture.

    A fact is unreadable if its most probable value does not reach the threshold. Params list emblems and kinds that are
    flagged or accepted; without words, the emblems are that people object to, and accept. A picture is flagged if it
    shows a flagged one, and kept if it is readable, not flagged, and shows an accepted one. An emblem counts on a badge
    only. A picture is correct if it shows every kind, colour and emblem that its prompt names.
    """

    def __init__(self, network: JudgeNetwork, params: JudgeParams, compute: Compute):
        self.network, self.threshold = network, params.threshold
        self.block, self.device = compute.block, device_of(compute)
        for group in ("flagged", "accepted"):
            _require_known(getattr(params, group), group)
        self.flagged = frozenset(params.flagged or FLAGGED_EMBLEMS)
        self.accepted = frozenset(params.accepted or ACCEPTED_EMBLEMS)

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> "EmbeddedJudge":
        """Load the half-precision weights into a float32 network; see `Judge.load`."""
        folder = locate_pinned(params.source, params.revision, params.digest, "judge")
        return cls(load_judge_network(folder).to(device_of(compute)), params, compute)

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """Return the probabilities of kinds, colours and emblems, concatenated (N, K); see `Judge.see`."""
        if pictures.shape[1:3] != (SIZE, SIZE):
            raise UserError(
                f"The embedded judge reads pictures of {SIZE} x {SIZE}, not {pictures.shape[2]} x {pictures.shape[1]}. "
                "To fix this for your own model: set evaluate.judge.kind to `clip` or `classifier`."
            )
        return map_in_padded_batches(pictures, self.block, self._probabilities)

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """Compare each picture with its own prompt only; see `Judge.judge`."""
        return [self._verdict(facts, prompt) for facts, prompt in zip(self._read_facts(seen), prompts, strict=True)]

    def _read_facts(self, seen: torch.Tensor) -> list[dict[str, str]]:
        """Return kind, colour and emblem of each picture."""
        widths = [len(FACTS[fact]) for fact in _JUDGED_FACTS]
        columns = {}
        for fact, probabilities in zip(_JUDGED_FACTS, seen.split(widths, dim=1), strict=True):
            highest, indices = probabilities.max(1)
            columns[fact] = [
                FACTS[fact][index] if p >= self.threshold else UNREADABLE
                for p, index in zip(highest.tolist(), indices.tolist(), strict=True)
            ]
        return [dict(zip(_JUDGED_FACTS, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _probabilities(self, pictures: list[np.ndarray]) -> torch.Tensor:
        output = self.network(to_signed_tensor(np.stack(pictures)).to(self.device))
        return torch.cat([output[fact].softmax(-1) for fact in _JUDGED_FACTS], dim=1)

    def _verdict(self, facts: dict[str, str], prompt: str) -> PictureVerdict:
        # Other kinds of picture have no emblem: what is read there is noise.
        main = facts["emblem"] if facts["kind"] == BADGE else facts["kind"]
        shown = {facts["kind"], main}
        flagged, readable = bool(shown & self.flagged), UNREADABLE not in shown
        requested = {fact: value for fact, value in parse_caption(prompt).items() if fact in _JUDGED_FACTS}
        return PictureVerdict(
            flagged=flagged,
            kept=readable and not flagged and bool(shown & self.accepted),
            correct=all(facts[fact] == value for fact, value in requested.items()),
            readable=readable,
            kind=main,
        )


def _require_known(words: Sequence[str], group: str) -> None:
    known = (*EMBLEMS, *KINDS)
    for word in words:
        if word not in known:
            raise UserError(
                f"evaluate.judge.{group}: the embedded judge reads no {word!r}. It reads {', '.join(known)}."
            )
