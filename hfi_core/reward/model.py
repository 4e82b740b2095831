"""The reward model r_psi: a small MLP on frozen CLIP image embeddings (HFI, section 3; method.md, section 3)."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from hfi_core import params
from hfi_core.candidates.manifest import Candidate, read_pictures
from hfi_core.compute.seeding import numpy_generator
from hfi_core.compute.training_loop import Checkpoint, ParameterGroup, cosine, fit
from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.models.clip import Clip
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress

WEIGHTS = "reward.safetensors"
BATCH = 1024
"""Pictures or pairs a step; smaller sets are taken whole."""


class RewardModel(nn.Module):
    """Embeddings (N, D) to logits f (N,). The reward is r = sigmoid(f), in [0, 1]: higher is more objectionable.

    Binary feedback fits r itself; a ranking fits differences of f, so that r is comparable between the two.
    """

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self, width: int, hidden: int):
        super().__init__()
        # CLIP's embeddings lie in a narrow cone, so they are centred and scaled before anything else.
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(()))
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, 1)

    @classmethod
    def start(cls, features: torch.Tensor, hidden: int, seed: int) -> "RewardModel":
        """A model that has learned nothing but the centre and spread of embeddings (N, D)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = cls(features.shape[1], hidden)
        model.centre.copy_(features.mean(0))
        model.spread.copy_((features - model.centre).square().mean().sqrt().clamp_min(1e-6))
        return model

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits f (N,)."""
        return self.outer(F.silu(self.inner((features - self.centre) / self.spread))).squeeze(1)

    @torch.no_grad()
    def rewards(self, features: torch.Tensor) -> torch.Tensor:
        """r (N,) in [0, 1]."""
        return self(features).sigmoid()

    def put_zero_at(self, features: torch.Tensor) -> None:
        """Shift f so that half of these pictures get a reward above one half: a ranking leaves its zero free."""
        with torch.no_grad():
            self.outer.bias -= self(features).median()

    def save(self, folder: Path) -> None:
        """Write the weights into a folder."""
        save_tensors(folder / WEIGHTS, self.state_dict())

    @classmethod
    def load(cls, folder: Path) -> "RewardModel":
        """Read what `save` wrote.

        Raises UserError for a torn file, or one that holds no reward model.
        """
        tensors, _ = load_tensors(folder / WEIGHTS)
        try:
            hidden, width = tensors["inner.weight"].shape
            model = cls(width, hidden)
            model.load_state_dict(tensors)
        except (KeyError, ValueError, RuntimeError) as error:
            raise UserError(f"{folder / WEIGHTS} holds no reward model: {error}") from error
        return model.eval().requires_grad_(False)


def squared_error(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """L = mean (r - y)^2, with y the share of votes (HFI, section 3); at its least, r is the share expected."""
    return (logits.sigmoid() - labels).square().mean()


def bradley_terry(above: torch.Tensor, below: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """L = - mean log sigmoid(f+ - f-) over pairs, + ranked above - (Bradley & Terry 1952; HFI, section 3)."""
    return -(weight * F.logsigmoid(above - below)).sum() / weight.sum()


def batch_rows(count: int, step: int, seed: int) -> torch.Tensor:
    """Rows of a training set that a step learns from."""
    if count <= BATCH:
        return torch.arange(count)
    return torch.from_numpy(numpy_generator(seed, "batch", step).choice(count, BATCH, replace=False))


def train(
    model: RewardModel,
    loss: Callable[[int], torch.Tensor],
    held_out_loss: Callable[[], torch.Tensor],
    settings: params.Reward,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress = no_progress,
) -> dict[str, list[float]]:
    """Minimise `loss(step)` and leave the model with the weights of the least held-out loss (early stopping).

    Returns both losses by step, as `loss` and `held_out_loss`.
    """
    named = dict(model.named_parameters())
    held_out = torch.zeros(settings.steps)
    least = torch.tensor(torch.inf)
    best = {name: value.detach().clone() for name, value in named.items()}

    @torch.no_grad()
    def after_step(step: int) -> None:
        held_out[step] = held_out_loss()
        if held_out[step] < least:
            least.copy_(held_out[step])
            for name, value in named.items():
                best[name].copy_(value)
        progress(step + 1, settings.steps, "fitting the reward model")

    history = fit(
        [ParameterGroup(named, settings.rate)],
        loss,
        what="The reward model",
        steps=settings.steps,
        schedule=cosine,
        weight_decay=settings.weight_decay,
        checkpoint=checkpoint,
        after_step=after_step,
        state={"held_out": held_out, "least": least} | {f"best/{name}": value for name, value in best.items()},
    )
    model.load_state_dict(best, strict=False)
    model.eval().requires_grad_(False)
    return {"loss": history.tolist(), "held_out_loss": held_out.tolist()}


def embed(params: Params, folder: Path, candidates: list[Candidate], progress: Progress) -> torch.Tensor:
    """CLIP embeddings (N, D), a block of pictures in memory at a time."""
    clip, block = Clip.load(params.clip, params.compute), params.compute.block
    parts = []
    for start in range(0, len(candidates), block):
        part = candidates[start : start + block]
        parts.append(clip.image_features(read_pictures(folder, part), block))
        progress(start + len(part), len(candidates), "embedding pictures")
    return torch.cat(parts)
