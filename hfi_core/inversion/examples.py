"""Choose the pictures that a token is inverted from, by their rewards or by their labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from hfi_core.candidates.manifest import Candidate, read_manifest, read_pictures
from hfi_core.errors import UserError
from hfi_core.feedback.labels import read_labels
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Invert
from hfi_core.reward.model import FittedReward

Side = Literal["objectionable", "accepted"]


def rewarded_examples(
    model: TextToImage, reward: FittedReward, side: Side, invert: Invert, block: int
) -> TrainingExamples:
    """Return the `invert.top` candidates with the highest (accepted: lowest) reward, weighted by it (HFI, section 3).

    With `invert.contrast`, they have those of the other side as their opposite.

    Raises UserError if no picture is on a side, or if the pictures do not have the model's size.
    """
    own = _choose_examples(model, reward.candidates, reward.rewards, side, invert.top, block)
    if not invert.contrast:
        return own
    other: Side = "accepted" if side == "objectionable" else "objectionable"
    return replace(own, opposite=_choose_examples(model, reward.candidates, reward.rewards, other, invert.top, block))


def labelled_examples(
    model: TextToImage, candidates: Path, labels: Path, *, side: Side, part: str, block: int
) -> TrainingExamples:
    """Return the pictures of one side and one part of the labels, weighted by their labels and by no reward model.

    Raises UserError as `rewarded_examples` does.
    """
    scores = {label.picture: label.label for label in read_labels(labels) if label.part == part}
    return _choose_examples(model, candidates, scores, side, len(scores), block)


@dataclass(frozen=True)
class JudgedPictures:
    """Every candidate that people judged and the reward model may see, for removals that learn from the judgements."""

    latents: torch.Tensor
    """Scaled latents (N, C, H, W), float32."""
    prompts: Sequence[str | None]
    rewards: torch.Tensor
    """r(x) (N,), in [0, 1]: a higher one is more objectionable."""
    labels: torch.Tensor
    """What people said (N,), in [0, 1]: the share of votes, or the position in the ranking."""


def judged_pictures(model: TextToImage, reward: FittedReward, block: int) -> JudgedPictures:
    """Return the candidates that have a reward, in the order of their ids.

    Raises UserError if the pictures do not have the model's size.
    """
    scores = {score.picture: score for score in reward.scores}
    rows = [row for row in read_manifest(reward.candidates) if row.id in scores]
    return JudgedPictures(
        _encode_pictures(model, reward.candidates, rows, block),
        [row.prompt for row in rows],
        torch.tensor([scores[row.id].reward for row in rows], dtype=torch.float32),
        torch.tensor([scores[row.id].label for row in rows], dtype=torch.float32),
    )


def choose_pictures(
    candidates: Path, scores: Mapping[str, float], side: Side, top: int
) -> tuple[list[Candidate], list[float]]:
    """Return the `top` candidates that are surest on one side, in the order of their ids, and the weight of each.

    Raises UserError if no picture is on this side.
    """
    weights = {picture: score if side == "objectionable" else 1 - score for picture, score in scores.items()}
    # Pictures nearer to the other side teach the wrong thing, however large `top` is.
    chosen = sorted((p for p, w in weights.items() if w >= 0.5), key=lambda p: (-weights[p], p))[:top]
    if not chosen:
        raise UserError(f"{candidates}: no picture is {side} by the feedback, so there is nothing to invert.")
    rows = [row for row in read_manifest(candidates) if row.id in set(chosen)]
    return rows, [weights[row.id] for row in rows]


def encode_examples(
    model: TextToImage, candidates: Path, rows: list[Candidate], weights: Sequence[float], block: int
) -> TrainingExamples:
    """Return candidates as examples of an inversion.

    Raises UserError if the pictures do not have the model's size.
    """
    return TrainingExamples(
        latents=_encode_pictures(model, candidates, rows, block),
        prompts=[row.prompt for row in rows],
        weights=torch.tensor(weights, dtype=torch.float32),
    )


def _choose_examples(
    model: TextToImage, candidates: Path, scores: Mapping[str, float], side: Side, top: int, block: int
) -> TrainingExamples:
    rows, weights = choose_pictures(candidates, scores, side, top)
    return encode_examples(model, candidates, rows, weights, block)


def _encode_pictures(model: TextToImage, candidates: Path, rows: list[Candidate], block: int) -> torch.Tensor:
    pictures = read_pictures(candidates, rows)
    height, width = pictures.shape[1:3]
    if (height, width) != (model.picture_size, model.picture_size):
        raise UserError(
            f"{candidates}: the pictures are {width} x {height} pixels, and the model draws {model.picture_size}.\n"
            f"  To fix this: `hfi candidates import FOLDER --size {model.picture_size}`."
        )
    return model.encode_pictures(pictures, block)
