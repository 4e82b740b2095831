"""The evaluation judge of the embedded model: reads the facts of a picture and compares them with its prompt."""

from collections.abc import Sequence

import numpy as np
import torch

from hfi_core.compute.batching import map_in_padded_batches, to_signed_tensor
from hfi_core.compute.device import device_of
from hfi_core.embedded.captions import parse_caption
from hfi_core.embedded.networks import UNREADABLE, JudgeNetwork, load_judge_network
from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import World
from hfi_core.errors import UserError
from hfi_core.judges.base import PictureVerdict
from hfi_core.models.weights import locate_pinned
from hfi_core.params import Compute, JudgeParams

_JUDGED_FACTS = ("kind", "colour", "emblem")

STYLE_THRESHOLD = 0.15
"""Strength from which a picture is in a style. The faintest style that the model learnt has the strength 0.3."""


class EmbeddedJudge:
    """A judge that reads kind, colour, emblem and styles of a picture.

    A fact is unreadable if its most probable value does not reach the threshold. A style is shown from STYLE_THRESHOLD.
    Params list emblems, styles and kinds that are flagged or accepted. A picture is flagged if it shows a flagged one,
    and kept if it is readable, not flagged, and shows an accepted one. An emblem counts on the concept only. A picture
    is correct if it shows every kind, colour, emblem and style that its prompt names. A flagged style is not asked for:
    it lies over the content, and the content has to stay.

    Without words in params, the world's own emblems are flagged and accepted. Where only styles are flagged and nothing
    is named as accepted, every kind is. Where styles are flagged, the strength of a picture is that of the strongest.
    """

    def __init__(self, network: JudgeNetwork, params: JudgeParams, compute: Compute):
        self.network, self.threshold, world = network, params.threshold, network.world
        self.block, self.device = compute.block, device_of(compute)
        for group in ("flagged", "accepted"):
            _require_known(getattr(params, group), world, group)
        self.flagged = frozenset(params.flagged or world.flagged)
        self.accepted = frozenset(
            params.accepted or (world.kinds if self.flagged <= set(world.styles) else world.accepted)
        )

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> "EmbeddedJudge":
        """Load the half-precision weights into a float32 network; see `Judge.load`."""
        folder = locate_pinned(params.source, params.revision, params.digest, "judge")
        return cls(load_judge_network(folder).to(device_of(compute)), params, compute)

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """Return probabilities of kinds, colours and emblems, then strengths of styles (N, K); see `Judge.see`."""
        if pictures.shape[1:3] != (SIZE, SIZE):
            raise UserError(
                f"The embedded judge reads pictures of {SIZE} x {SIZE}, not {pictures.shape[2]} x {pictures.shape[1]}. "
                "To fix this for your own model: set evaluate.judge.kind to `clip` or `classifier`."
            )
        return map_in_padded_batches(pictures, self.block, self._describe)

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """Compare each picture with its own prompt only; see `Judge.judge`."""
        strengths = seen[:, -len(self.network.world.styles) :].tolist()
        return [
            self._verdict(facts, styles, prompt)
            for facts, styles, prompt in zip(self._read_facts(seen), strengths, prompts, strict=True)
        ]

    def _read_facts(self, seen: torch.Tensor) -> list[dict[str, str]]:
        """Return kind, colour, emblem and strongest style of each picture. A picture without a style lacks it."""
        facts, styles = self.network.facts, self.network.world.styles
        *probabilities, strengths = seen.split([*(len(facts[fact]) for fact in _JUDGED_FACTS), len(styles)], dim=1)
        rows: list[dict[str, str]] = [{} for _ in range(len(seen))]
        for fact, table in zip(_JUDGED_FACTS, probabilities, strict=True):
            highest, indices = table.max(1)
            for row, index, p in zip(rows, indices.tolist(), highest.tolist(), strict=True):
                row[fact] = facts[fact][index] if p >= self.threshold else UNREADABLE
        highest, indices = strengths.max(1)
        for row, index, strength in zip(rows, indices.tolist(), highest.tolist(), strict=True):
            if strength >= STYLE_THRESHOLD:
                row["style"] = styles[index]
        return rows

    def _describe(self, pictures: list[np.ndarray]) -> torch.Tensor:
        output = self.network(to_signed_tensor(np.stack(pictures)).to(self.device))
        return torch.cat([*(output[fact].softmax(-1) for fact in _JUDGED_FACTS), output["strength"]], dim=1)

    def _verdict(self, facts: dict[str, str], strengths: list[float], prompt: str) -> PictureVerdict:
        world = self.network.world
        # Other kinds of picture have no emblem: what is read there is noise.
        shows_concept = facts["kind"] == world.concept
        main = facts["emblem"] if shows_concept else facts["kind"]
        strength_of = dict(zip(world.styles, strengths, strict=True))
        shown = {facts["kind"], main, *(style for style, value in strength_of.items() if value >= STYLE_THRESHOLD)}
        flagged, readable = bool(shown & self.flagged), UNREADABLE not in (facts["kind"], main)
        requested = {
            fact: value
            for fact, value in parse_caption(world, prompt).items()
            if fact in _JUDGED_FACTS or (fact == "style" and value not in self.flagged)
        }
        flagged_strengths = [value for style, value in strength_of.items() if style in self.flagged]
        return PictureVerdict(
            flagged=flagged,
            kept=readable and not flagged and bool(shown & self.accepted),
            correct=all(facts.get(fact) == value for fact, value in requested.items()),
            readable=readable,
            kind=main,
            strength=max(flagged_strengths, default=None),
        )


def _require_known(words: Sequence[str], world: World, group: str) -> None:
    known = (*world.emblems, *world.styles, *world.kinds)
    for word in words:
        if word not in known:
            raise UserError(
                f"evaluate.judge.{group}: the embedded judge reads no {word!r}. It reads {', '.join(known)}."
            )
