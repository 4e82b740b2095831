"""The reward model r_psi: a small MLP on frozen CLIP image embeddings (HFI, section 3; method.md, section 3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from hfi_core.candidates.manifest import Candidate, read_manifest, read_pictures
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import derive_seed
from hfi_core.compute.training_loop import Checkpoint, ParameterGroup, cosine_decay, fit
from hfi_core.errors import UserError
from hfi_core.feedback.labels import Label, RankedPair
from hfi_core.io.json_files import read_jsonl, write_jsonl
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.io.training_curve import write_training_curve
from hfi_core.metrics.ranking import Measurement, Resampling
from hfi_core.models.clip import Clip
from hfi_core.params import Params, Reward
from hfi_core.progress import Progress, no_progress
from hfi_core.reward.objectives import decide_pairs, make_objective, measure_binary, measure_ranking

WEIGHTS = "reward.safetensors"
SCORES = "scores.jsonl"
CHECKPOINT_EVERY = 100
_DECIMALS = 6


class RewardModel(nn.Module):
    """Embeddings (N, D) to logits f (N,). The reward is r = sigmoid(f), in [0, 1]. A higher r is more objectionable.

    Binary feedback fits r itself. A ranking fits differences of f, so that r has the same meaning for both.
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
        """Return an untrained model that knows the centre and the spread of embeddings (N, D)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = cls(features.shape[1], hidden)
        model.centre.copy_(features.mean(0))
        model.spread.copy_((features - model.centre).square().mean().sqrt().clamp_min(1e-6))
        return model

    @classmethod
    def fit(
        cls,
        candidates: Path | str,
        labels: Sequence[Label],
        params: Params,
        *,
        concept: str | None = None,
        pairs: Sequence[RankedPair] = (),
        work: Path | None = None,
        progress: Progress = no_progress,
    ) -> "FittedReward":
        """Fit a reward model to the labels of a concept's candidates (HFI, section 3).

        Learns from labels of the part "learn" only; the others are kept for attackers and judge of the evaluation. A
        share of the pictures, `params.reward.held_out`, is held out. It chooses the step at which training stops, and
        measures the result.

        Args:
            candidates: folder with the pictures and their manifest, for example `candidates/badge`.
            labels: what `read_labels` returns.
            concept: the concept's name in `params.concepts`; by default the name of the folder.
            pairs: for a ranking, what `read_pairs` returns.
            work: folder for checkpoints; None writes none.

        Raises UserError if there is no such concept, or if there are too few labels, or if all labels are alike.
        """
        candidates = Path(candidates)
        concept = candidates.name if concept is None else concept
        kind, settings = params.concept(concept).feedback, params.reward
        key = (params.seed, "reward", concept)
        learn = [label for label in labels if label.part == "learn"]
        objective = make_objective(kind, concept, learn, pairs, settings, derive_seed(*key))

        configure_torch(params.compute)
        pictures = {candidate.id: candidate for candidate in read_manifest(candidates)}
        features = embed_candidates(params, candidates, [pictures[label.picture] for label in learn], progress)
        train = torch.from_numpy(~objective.held_out)
        model = cls.start(features[train], settings.hidden, derive_seed(*key, "start"))
        losses = train_model(
            model,
            lambda step: objective.loss(model, features, step),
            lambda: objective.held_out_loss(model, features),
            settings,
            checkpoint=Checkpoint(work / WEIGHTS, CHECKPOINT_EVERY) if work else None,
            progress=progress,
        )
        if kind == "ranking":
            model.put_zero_at(features[train])
        rewards = model.rewards(features).double().numpy()
        resampling = measurement_resampling(params, concept)
        scores = tuple(
            Score(label.picture, round(float(reward), _DECIMALS), label.label, "held_out" if held_out else "train")
            for label, reward, held_out in zip(learn, rewards, objective.held_out, strict=True)
        )
        return FittedReward(model, candidates, scores, losses, objective.measure(rewards, resampling))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits f (N,) of embeddings (N, D)."""
        return self.outer(F.silu(self.inner((features - self.centre) / self.spread))).squeeze(1)

    @torch.no_grad()
    def rewards(self, features: torch.Tensor) -> torch.Tensor:
        """Return the rewards r (N,), in [0, 1], of embeddings (N, D)."""
        return self(features).sigmoid()

    def put_zero_at(self, features: torch.Tensor) -> None:
        """Shift f so that half of these pictures get a reward above one half: a ranking does not determine its zero."""
        with torch.no_grad():
            self.outer.bias -= self(features).median()

    def save(self, folder: Path) -> None:
        """Write the weights into a folder."""
        save_tensors(folder / WEIGHTS, self.state_dict())

    @classmethod
    def load(cls, folder: Path) -> "RewardModel":
        """Read the weights that `save` wrote.

        Raises UserError if the file cannot be parsed, or is not a reward model.
        """
        tensors, _ = load_tensors(folder / WEIGHTS)
        try:
            hidden, width = tensors["inner.weight"].shape
            model = cls(width, hidden)
            model.load_state_dict(tensors)
        except (KeyError, ValueError, RuntimeError) as error:
            raise UserError(f"{folder / WEIGHTS} is not a reward model: {error}") from error
        return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Score:
    """One line of `scores.jsonl`: the reward of a picture that the model learned from or was measured on."""

    picture: str
    reward: float
    """r in [0, 1], rounded to 6 decimals."""
    label: float
    split: Literal["train", "held_out"]


@dataclass(frozen=True)
class FittedReward:
    """A reward model with the candidates that it scored: what `invert` starts from."""

    model: RewardModel
    candidates: Path
    """The folder that holds the scored pictures."""
    scores: tuple[Score, ...]
    losses: Mapping[str, list[float]] = field(default_factory=dict)
    """`loss` and `held_out_loss` of every step. Not read back by `load`."""
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    """Figures on the held-out pictures, each with its interval. Not read back by `load`."""

    @property
    def rewards(self) -> dict[str, float]:
        """Rewards by picture."""
        return {score.picture: score.reward for score in self.scores}

    @property
    def best_step(self) -> int:
        """The step whose weights were kept: that of the lowest held-out loss."""
        held_out = self.losses["held_out_loss"]
        return min(range(len(held_out)), key=held_out.__getitem__)

    def save(self, folder: Path) -> None:
        """Write weights, scores and losses into a folder."""
        self.model.save(folder)
        write_jsonl(folder / SCORES, [asdict(score) for score in self.scores])
        write_training_curve(folder / "steps.csv", self.losses)

    @classmethod
    def load(cls, folder: Path, candidates: Path) -> "FittedReward":
        """Read the weights and the scores that `save` wrote.

        Raises UserError if a file is missing or cannot be parsed.
        """
        scores = tuple(Score(**row) for row in read_jsonl(folder / SCORES))
        return cls(RewardModel.load(folder), candidates, scores)


def measure_scores(
    scores: Sequence[Score], params: Params, concept: str, pairs: Sequence[RankedPair] = ()
) -> dict[str, Measurement]:
    """Measure the held-out scores of a concept, each figure with its interval; `pairs` as in `RewardModel.fit`."""
    held_out = [score for score in scores if score.split == "held_out"]
    rewards = np.array([score.reward for score in held_out])
    labels = np.array([score.label for score in held_out])
    resampling = measurement_resampling(params, concept)
    if params.concept(concept).feedback == "binary":
        return measure_binary(rewards, labels, resampling)
    decided = decide_pairs([score.picture for score in held_out], pairs)
    return measure_ranking(rewards, labels, decided, resampling)


def measurement_resampling(params: Params, concept: str, what: str = "reward") -> Resampling:
    """Return the settings of the bootstrap for the figures of what was fitted to a concept's labels."""
    evaluate, seed = params.evaluate, derive_seed(params.seed, what, concept, "resample")
    return Resampling(evaluate.resamples, evaluate.level, seed)


def train_model(
    model: RewardModel,
    loss: Callable[[int], torch.Tensor],
    held_out_loss: Callable[[], torch.Tensor],
    settings: Reward,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress = no_progress,
) -> dict[str, list[float]]:
    """Minimise `loss(step)`, then set the weights to those of the lowest held-out loss (early stopping).

    Returns both losses of every step, as `loss` and `held_out_loss`.
    """
    named = dict(model.named_parameters())
    held_out = torch.zeros(settings.steps)
    lowest = torch.tensor(torch.inf)
    best = {name: value.detach().clone() for name, value in named.items()}

    @torch.no_grad()
    def after_step(step: int) -> None:
        held_out[step] = held_out_loss()
        if held_out[step] < lowest:
            lowest.copy_(held_out[step])
            for name, value in named.items():
                best[name].copy_(value)
        progress(step + 1, settings.steps, "fitting the reward model")

    history = fit(
        [ParameterGroup(named, settings.rate)],
        loss,
        name="The reward model",
        steps=settings.steps,
        schedule=cosine_decay,
        weight_decay=settings.weight_decay,
        checkpoint=checkpoint,
        after_step=after_step,
        state={"held_out": held_out, "least": lowest} | {f"best/{name}": value for name, value in best.items()},
    )
    model.load_state_dict(best, strict=False)
    model.eval().requires_grad_(False)
    return {"loss": history.tolist(), "held_out_loss": held_out.tolist()}


def embed_candidates(
    params: Params, folder: Path, candidates: list[Candidate], progress: Progress, clip: Clip | None = None
) -> torch.Tensor:
    """Return the embeddings (N, D) of candidates by `clip`, or by the CLIP of params where it is None.

    Only one block of pictures is in memory at a time.
    """
    clip, block = clip or Clip.load(params.clip, params.compute), params.compute.block
    parts = []
    for start in range(0, len(candidates), block):
        part = candidates[start : start + block]
        parts.append(clip.image_features(read_pictures(folder, part), block))
        progress(start + len(part), len(candidates), "embedding pictures")
    return torch.cat(parts)
