"""A judge that learned from people's answers: a linear probe on CLIP embeddings (Radford et al. 2021, section 3.2).

`hfi judge fit` makes its folder. Words say what is on topic, as for the judge `clip`. The probe says which of it people
object to.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hfi_core.errors import UserError
from hfi_core.io.json_files import read_json, write_json
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.judges.clip import ClipJudge
from hfi_core.models.clip import Clip
from hfi_core.models.weights import locate_pinned
from hfi_core.params import Compute, JudgeParams, Params, Source

WEIGHTS, CARD = "probe.safetensors", "card.json"


@dataclass(frozen=True)
class Probe:
    """Linear classifiers of one question, each fitted to other pictures. Their mean logit decides."""

    weight: torch.Tensor
    """(folds, D), float32."""
    bias: torch.Tensor
    """(folds,), float32."""
    card: dict[str, Any]
    """What it was fitted to, how well it answers, and `clip`: the source whose embeddings it reads."""

    @property
    def clip(self) -> Source:
        """Return the CLIP whose embeddings it reads."""
        return Source.model_validate(self.card["clip"])

    def objectionable(self, features: torch.Tensor) -> torch.Tensor:
        """Return for embeddings (N, D) the probability (N,) that people object."""
        return (features @ self.weight.T + self.bias).mean(1).sigmoid()

    def save(self, folder: Path) -> None:
        """Write weights and card into a folder."""
        save_tensors(folder / WEIGHTS, {"weight": self.weight, "bias": self.bias})
        write_json(folder / CARD, self.card)

    @classmethod
    def load(cls, folder: Path) -> "Probe":
        """Read what `save` wrote.

        Raises UserError if a file is missing, or is not that of a probe.
        """
        tensors, _ = load_tensors(folder / WEIGHTS)
        card = read_json(folder / CARD)
        try:
            probe = cls(tensors["weight"], tensors["bias"], card)
            shapes = (probe.weight.ndim, tuple(probe.bias.shape))
            if shapes != (2, (len(probe.weight),)):
                raise ValueError(f"weight {tuple(probe.weight.shape)} and bias {tuple(probe.bias.shape)}")
            _ = probe.clip
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder} is not a probe: {error}.\n  To fix this: make it again by `hfi judge fit`."
            ) from error
        return probe


def require_other_clip(params: Params, clip: Source) -> None:
    """Raise UserError if a probe would read the embeddings that the reward model learned from."""
    if clip.digest == params.clip.digest:
        raise UserError(
            "The probe would read the CLIP under clip: in params.yaml, which the reward model learned from, and would "
            "share its mistakes.\n  To fix this: fit it on another CLIP, `hfi judge fit NAME --clip FOLDER`."
        )


class ProbeJudge(ClipJudge):
    """A judge that divides what is on topic by a probe, and not by words.

    Flagged and accepted words together say how probable it is that a picture is on topic; without words of `other`,
    every picture is. The probe divides this probability. All else is as with the judge `clip`.
    """

    def __init__(self, clip: Clip, probe: Probe, params: JudgeParams, compute: Compute):
        super().__init__(clip, params, compute)
        self.probe = probe

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> "ProbeJudge":
        """Load the probe and the CLIP that its card names; see `Judge.load`."""
        folder = locate_pinned(params.source, params.revision, params.digest, "judge")
        probe = Probe.load(folder)
        try:
            clip = Clip.load(probe.clip, compute, "judge")
        except UserError as error:
            raise UserError(f"The CLIP that {folder / CARD} names: {error}") from error
        if clip.width != probe.weight.shape[1]:
            raise UserError(
                f"{folder} reads embeddings of {probe.weight.shape[1]} numbers, and its CLIP gives {clip.width}.\n"
                "  To fix this: make it again by `hfi judge fit`."
            )
        return cls(clip, probe, params, compute)

    def group_probabilities(self, seen: torch.Tensor) -> torch.Tensor:
        """See `ClipJudge.group_probabilities`."""
        other = super().group_probabilities(seen)[:, 2]
        objectionable = self.probe.objectionable(seen)
        return torch.stack([(1 - other) * objectionable, (1 - other) * (1 - objectionable), other], dim=1)
