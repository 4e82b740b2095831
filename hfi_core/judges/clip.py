"""A zero-shot judge from any CLIP folder: params list the flagged, accepted and other texts (Radford et al. 2021)."""

from collections.abc import Sequence

import numpy as np
import torch

from hfi_core.judges.base import PictureVerdict, Scores
from hfi_core.models.clip import Clip
from hfi_core.params import Compute, JudgeParams, Source


class ClipJudge:
    """A judge that compares a picture with texts of three groups: flagged, accepted, other.

    All texts share one softmax at the model's logit scale. A picture is flagged if the flagged texts together reach the
    threshold, kept if the accepted texts do, and readable if any of the three groups does. It is correct if its own
    prompt fits best among the prompts of the suite, the prompts of its rivals and the `other` texts.
    """

    def __init__(self, clip: Clip, params: JudgeParams, compute: Compute):
        self.clip, self.threshold, self.block = clip, params.threshold, compute.block
        self.groups = [len(params.flagged), len(params.accepted), len(params.other)]
        self.scale, self.other = clip.logit_scale, params.other
        self.texts = clip.text_features([*params.flagged, *params.accepted, *params.other])

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> "ClipJudge":
        """Load the CLIP folder; see `Judge.load`."""
        source = Source(source=params.source, revision=params.revision, digest=params.digest)
        return cls(Clip.load(source, compute, "judge"), params, compute)

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """Return the image features (N, D); see `Judge.see`."""
        return self.clip.image_features(pictures, self.block)

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """See `Judge.judge`."""
        groups = self.group_probabilities(seen).tolist()
        texts = sorted({*prompts, *rivals, *self.other})
        best = (seen @ self.clip.text_features(texts).T).argmax(1).tolist()
        return [
            PictureVerdict(
                flagged=flagged >= self.threshold,
                kept=accepted >= self.threshold > flagged,
                correct=texts[index] == prompt,
                readable=max(flagged, accepted, other) >= self.threshold,
                scores=Scores(flagged, accepted),
            )
            for (flagged, accepted, other), index, prompt in zip(groups, best, prompts, strict=True)
        ]

    def group_probabilities(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the probabilities (N, 3) of the groups flagged, accepted and other for image features (N, D)."""
        probabilities = (self.scale * seen @ self.texts.T).softmax(-1)
        return torch.stack([part.sum(1) for part in probabilities.split(self.groups, dim=1)], dim=1)
