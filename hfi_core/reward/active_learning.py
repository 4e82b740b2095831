"""Which pictures to ask people about next: those that tell the reward model most, and some at random.

Pictures are unsure where the reward is near one half (uncertainty sampling, Lewis & Gale 1994), and they are chosen
apart from each other and from what is judged already, by a greedy k-centre (Sener & Savarese 2018) on CLIP embeddings.
Chosen pictures are no fair sample of all, so some are taken by an order that knows neither model nor answers: on those,
shares and scores are estimated without bias.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfi_core.candidates.manifest import Candidate, read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.gold import list_askable_candidates
from hfi_core.feedback.labels import assign_split, read_labels
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress

_BLOCK = 1024  # known pictures compared at a time


@dataclass(frozen=True)
class Choice:
    """A picture to ask about."""

    candidate: Candidate
    reward: float
    random: bool


@dataclass(frozen=True)
class Selection:
    """The next pictures, those to be asked first in front, and the whole unbiased sample with those judged already."""

    choices: Sequence[Choice]
    sample: Sequence[Candidate]

    @property
    def priorities(self) -> Mapping[str, float]:
        """By picture, above 0, which is what pictures have that nobody chose."""
        return {one.candidate.id: float(len(self.choices) - k) for k, one in enumerate(self.choices)}


def uncertainty(rewards: np.ndarray, kind: str) -> np.ndarray:
    """How unsure the reward model is (N,), 0 to 1: binary rewards near one half are.

    A ranking's one half is the median picture and says nothing about certainty, so there all count alike.
    """
    return 1 - np.abs(2 * rewards - 1) if kind == "binary" else np.ones(len(rewards))


def spread_out(unsure: np.ndarray, features: np.ndarray, known: np.ndarray, count: int) -> list[int]:
    """Up to `count` rows, greedily the largest uncertainty x distance to the nearest that is chosen or `known`.

    `features` (N, D) and `known` (M, D) are of length 1; the distance is 1 - cosine. Rows with uncertainty 0 stay out.
    """
    nearest = np.full(len(features), 2.0)
    for start in range(0, len(known), _BLOCK):
        nearest = np.minimum(nearest, 1 - (features @ known[start : start + _BLOCK].T).max(1))
    left = unsure.astype(np.float64)
    chosen: list[int] = []
    while len(chosen) < count and left.any():
        row = int(np.argmax(left * np.maximum(nearest, 0)))
        if not left[row]:  # all that is left lies where something chosen lies
            row = int(np.argmax(left))
        chosen.append(row)
        left[row] = 0
        nearest = np.minimum(nearest, 1 - features @ features[row])
    return chosen


def random_order(pictures: Sequence[str], seed: int) -> list[str]:
    """Pictures by a hash of seed and id: an order that depends on no model, no answer and no other picture."""
    return sorted(pictures, key=lambda name: hashlib.sha256(f"random\x1f{seed}\x1f{name}".encode()).digest())


def select(
    params: Params,
    concept: str,
    *,
    root: Path = Path(),
    count: int,
    random_share: float,
    sampled: Collection[str] = frozenset(),
    progress: Progress = no_progress,
) -> Selection:
    """Choose from the askable candidates without a label, by the reward model of the first round.

    `sampled` is the unbiased sample so far; it grows by `random_share` of `count` in the order of `random_order`, and
    those of it without a label are asked about: fewer, where some have one. The rest of `count` comes from the pictures
    that the reward model may learn from: those kept for the attacker are asked about at random only.

    Raises UserError if there is no reward model yet, or nothing left to choose from.
    """
    folder, reward = root / "candidates" / concept, root / "reward" / concept
    if not (reward / "reward.safetensors").exists():
        raise UserError(
            f"{reward} holds no reward model: choosing pictures needs a first round of judgements.\n"
            "  To mend it: have some candidates judged, whichever come first, then `hfi run --until reward`."
        )
    candidates = {candidate.id: candidate for candidate in read_manifest(folder)}
    asking = {one.id for one in list_askable_candidates(params, concept, candidates.values(), root)}
    labelled = {label.picture for label in read_labels(root / "labels" / concept)}
    open_ = [name for name in candidates if name in asking and name not in labelled]
    if not open_:
        raise UserError(
            f"Every candidate of {concept} has a label, is gold, or has no picture file.\n"
            f"  To mend it: raise candidates.drawn.{concept} and `hfi run --until generate`, or import more pictures."
        )
    more = round(random_share * count)
    sample = _grown(sorted(asking), asking.intersection(sampled), more, params.seed)
    wanted = [name for name in random_order(open_, params.seed) if name in sample][:count]

    judged = [one for one in candidates.values() if one.id in labelled and (folder / one.file).exists()]
    features, rewards = _look(params, folder, reward, [candidates[name] for name in open_] + judged, progress)
    features, known, rewards = features[: len(open_)], features[len(open_) :], rewards[: len(open_)]
    row = {name: k for k, name in enumerate(open_)}
    unsure = uncertainty(rewards, params.concepts[concept].feedback)
    unsure[[assign_split(name, params.attack.held_out) == "attack" or name in sample for name in open_]] = 0
    random_rows = [row[name] for name in wanted]
    near = np.concatenate([known, features[random_rows]])
    active = spread_out(unsure, features, near, count - max(more, len(wanted)))
    mixed = mix(active, random_rows)
    choices = [Choice(candidates[open_[k]], float(rewards[k]), open_[k] in sample) for k in mixed]
    return Selection(choices, [candidates[name] for name in candidates if name in sample])


def mix(active: Sequence[int], random: Sequence[int]) -> list[int]:
    """Both in their order, the random ones spread evenly: whoever stops early has judged their share of either."""
    places = [((k + 0.5) / len(active), 0, row) for k, row in enumerate(active)]
    places += [((k + 0.5) / len(random), 1, row) for k, row in enumerate(random)]
    return [row for _, _, row in sorted(places)]


def _grown(pictures: Sequence[str], sampled: Collection[str], more: int, seed: int) -> frozenset[str]:
    """The sample with `more` further pictures: how many is settled before it is seen which of them are judged."""
    ahead = [name for name in random_order(pictures, seed) if name not in sampled]
    return frozenset(sampled) | frozenset(ahead[:more])


def _look(
    params: Params, folder: Path, reward: Path, candidates: list[Candidate], progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, D) of candidates and their rewards (N,)."""
    from hfi_core.compute.device import configure_torch
    from hfi_core.reward.model import RewardModel, embed_candidates

    configure_torch(params.compute)
    features = embed_candidates(params, folder, candidates, progress)
    return features.double().numpy(), RewardModel.load(reward).rewards(features).double().numpy()
