"""Invert the two tokens of a concept: v* from what people object to, u* from what they accept (method, section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from hfi_core.compute.seeding import picture_seed
from hfi_core.inversion.examples import Side, rewarded_examples
from hfi_core.inversion.textual_inversion import (
    InversionSettings,
    TrainingExamples,
    invert_token,
    make_start_vectors,
)
from hfi_core.inversion.tokens import load_tokens, save_token, token_name
from hfi_core.models.clip import Clip
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Invert, Params
from hfi_core.progress import Progress, no_progress, report_steps
from hfi_core.prompts import replace_text
from hfi_core.reward.model import FittedReward

SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True)
class TokenPair:
    """The tokens v* and u* of a concept, with the rewards that they were inverted from."""

    concept: str
    vectors: Mapping[str, torch.Tensor]
    """Vectors (n, D) by the token's name, for example `<badge-objectionable>`."""
    reward: FittedReward
    losses: Mapping[str, list[float]]
    """The loss of every step. Not read back by `load`."""
    check: Mapping[str, Mapping[str, Any]]
    """Rewards of pictures drawn with the concept's text and with each token. Not read back by `load`."""

    def examples(self, model: TextToImage, invert: Invert, block: int) -> TrainingExamples:
        """Return the pictures that v* was inverted from, for a removal that inverts a token again between rounds."""
        return rewarded_examples(model, self.reward, "objectionable", invert, block)

    def save(self, folder: Path, widths: tuple[int, ...] = ()) -> None:
        """Write both tokens; `widths` are those of the model's text encoders."""
        for side in SIDES:
            name = token_name(self.concept, side)
            save_token(folder / side, name, self.vectors[name], widths)

    @classmethod
    def load(cls, folder: Path, concept: str, reward: FittedReward) -> "TokenPair":
        """Read the tokens that `save` wrote.

        Raises UserError if there is none, or if a file cannot be parsed.
        """
        return cls(concept, load_tokens(folder), reward, {}, {})


def invert(
    model: TextToImage,
    reward: FittedReward,
    concept: str,
    params: Params,
    *,
    work: Path | None = None,
    progress: Progress = no_progress,
) -> TokenPair:
    """Invert both tokens of a concept, then check them.

    v* is inverted from the candidates with the highest reward, u* from those with the lowest. The check draws pictures
    with the concept's text and with each token, at equal seeds, and scores them by the reward model.

    Args:
        reward: what `RewardModel.fit` returned for this concept.
        concept: the concept's name in `params.concepts`.
        work: folder for checkpoints; None writes none.

    Raises UserError if there is no such concept, if all pictures are on one side, or if a loss diverges.
    """
    spec, invert_params = params.concept(concept), params.invert
    settings = InversionSettings.of(invert_params)
    vectors: dict[str, torch.Tensor] = {}
    losses: dict[str, list[float]] = {}
    for side in SIDES:
        name = token_name(concept, side)
        vectors[name], history = invert_token(
            model,
            rewarded_examples(model, reward, side, invert_params, params.compute.block),
            spec.text,
            name,
            make_start_vectors(model, getattr(spec.initial, side), invert_params.vectors, params.seed, name),
            settings,
            key=(params.seed, name),
            work=work / side if work else None,
            observe=report_steps(progress, settings.steps, f"inverting {side}"),
        )
        losses[side] = history.tolist()
    return TokenPair(concept, vectors, reward, losses, _check_tokens(model, vectors, reward, concept, params))


def _check_tokens(
    model: TextToImage, vectors: Mapping[str, torch.Tensor], reward: FittedReward, concept: str, params: Params
) -> dict[str, dict[str, Any]]:
    """Return the mean reward, and the share above one half, of pictures drawn with the text and with each token."""
    spec, count, block = params.concept(concept), params.invert.check, params.compute.block
    if count == 0:
        return {}
    clip, figures = Clip.load(params.clip, params.compute), {}
    for side in ("text", *SIDES):
        name = spec.text if side == "text" else token_name(concept, side)
        requests = [
            SampleRequest(
                replace_text(spec.prompts[i % len(spec.prompts)], spec.text, name),
                picture_seed(params.seed, "check", concept, i),
            )
            for i in range(count)
        ]
        drawn = draw_pictures(model, requests, params.sampler, block=block, tokens=vectors)
        rewards = reward.model.rewards(clip.image_features(np.stack([pixels for _, pixels in drawn]), block))
        figures[side] = {
            "mean_reward": round(float(rewards.mean()), 6),
            "share_objectionable": round(float((rewards > 0.5).float().mean()), 6),
            "n": count,
        }
    return figures
