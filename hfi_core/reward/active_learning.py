"""Select the pictures that people should judge next: those that teach the reward model most, and some at random.

A picture is uncertain if its reward is near one half (uncertainty sampling, Lewis & Gale 1994). Selected pictures also
lie far from each other and from judged pictures, by a greedy k-centre (Sener & Savarese 2018) on CLIP embeddings.
They are not a fair sample of all pictures. So some pictures are selected in an order that knows neither the model nor
the answers: on those, shares and scores are estimated without bias.
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

_BLOCK = 1024  # known pictures that are compared at a time


@dataclass(frozen=True)
class Choice:
    """A picture that people should judge."""

    candidate: Candidate
    reward: float
    random: bool


@dataclass(frozen=True)
class Selection:
    """The next pictures in the order in which to ask, and the whole unbiased sample with its judged pictures."""

    choices: Sequence[Choice]
    sample: Sequence[Candidate]

    @property
    def priorities(self) -> Mapping[str, float]:
        """Priority by picture. It is above 0, the priority of pictures that were not selected."""
        return {choice.candidate.id: float(len(self.choices) - k) for k, choice in enumerate(self.choices)}


def uncertainty(rewards: np.ndarray, kind: str) -> np.ndarray:
    """Return how uncertain the reward model is (N,), in [0, 1]: most where a binary reward is one half.

    A ranking's reward of one half marks the median picture and says nothing about certainty, so all get 1.
    """
    return 1 - np.abs(2 * rewards - 1) if kind == "binary" else np.ones(len(rewards))


def spread_out(uncertain: np.ndarray, features: np.ndarray, known: np.ndarray, count: int) -> list[int]:
    """Select up to `count` rows, greedily by uncertainty times the distance to the nearest selected or known row.

    `features` (N, D) and `known` (M, D) have length 1, and the distance is 1 - cosine. Rows with uncertainty 0 are not
    selected.
    """
    nearest = np.full(len(features), 2.0)
    for start in range(0, len(known), _BLOCK):
        nearest = np.minimum(nearest, 1 - (features @ known[start : start + _BLOCK].T).max(1))
    remaining = uncertain.astype(np.float64)
    selected: list[int] = []
    while len(selected) < count and remaining.any():
        row = int(np.argmax(remaining * np.maximum(nearest, 0)))
        if not remaining[row]:  # every remaining row equals a selected one
            row = int(np.argmax(remaining))
        selected.append(row)
        remaining[row] = 0
        nearest = np.minimum(nearest, 1 - features @ features[row])
    return selected


def random_order(pictures: Sequence[str], seed: int) -> list[str]:
    """Sort pictures by a hash of seed and id: the order depends on no model, no answer and no other picture."""
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
    """Select from the candidates that people can judge and that have no label, by the first round's reward model.

    `sampled` is the unbiased sample so far. It grows by `random_share` of `count` pictures in the order of
    `random_order`; those of them without a label are selected. The rest of `count` comes from the pictures that the
    reward model may learn from. Pictures that are kept for the attacker are only selected at random.

    Raises UserError if there is no reward model yet, or if no candidate is left.
    """
    folder, reward = root / "candidates" / concept, root / "reward" / concept
    if not (reward / "reward.safetensors").exists():
        raise UserError(
            f"There is no reward model in {reward}: selecting pictures needs a first round of judgements.\n"
            "  To fix this: have any candidates judged, then run `hfi run --until reward`."
        )
    candidates = {candidate.id: candidate for candidate in read_manifest(folder)}
    askable = {candidate.id for candidate in list_askable_candidates(params, concept, candidates.values(), root)}
    labelled = {label.picture for label in read_labels(root / "labels" / concept)}
    unlabelled = [name for name in candidates if name in askable and name not in labelled]
    if not unlabelled:
        raise UserError(
            f"Every candidate of {concept} has a label, is gold, or has no picture file.\n"
            f"  To fix this: raise candidates.drawn.{concept} and run `hfi run --until generate`, or import pictures."
        )
    more = round(random_share * count)
    sample = _grow_sample(sorted(askable), askable.intersection(sampled), more, params.seed)
    at_random = [name for name in random_order(unlabelled, params.seed) if name in sample][:count]

    judged = [picture for picture in candidates.values() if picture.id in labelled and (folder / picture.file).exists()]
    features, rewards = _score(params, folder, reward, [candidates[name] for name in unlabelled] + judged, progress)
    count_open = len(unlabelled)
    features, known, rewards = features[:count_open], features[count_open:], rewards[:count_open]
    row = {name: k for k, name in enumerate(unlabelled)}
    uncertain = uncertainty(rewards, params.concepts[concept].feedback)
    held_out = params.feedback.held_out
    uncertain[[assign_split(name, *held_out) != "learn" or name in sample for name in unlabelled]] = 0
    random_rows = [row[name] for name in at_random]
    near = np.concatenate([known, features[random_rows]])
    active = spread_out(uncertain, features, near, count - max(more, len(at_random)))
    mixed = mix(active, random_rows)
    choices = [Choice(candidates[unlabelled[k]], float(rewards[k]), unlabelled[k] in sample) for k in mixed]
    return Selection(choices, [candidates[name] for name in candidates if name in sample])


def mix(active: Sequence[int], random: Sequence[int]) -> list[int]:
    """Mix both in their order, the random ones evenly spread: who stops early has judged a fair share of both."""
    positions = [((k + 0.5) / len(active), 0, row) for k, row in enumerate(active)]
    positions += [((k + 0.5) / len(random), 1, row) for k, row in enumerate(random)]
    return [row for _, _, row in sorted(positions)]


def _grow_sample(pictures: Sequence[str], sampled: Collection[str], more: int, seed: int) -> frozenset[str]:
    """Return the sample with `more` further pictures. Their number does not depend on which of them are judged."""
    following = [name for name in random_order(pictures, seed) if name not in sampled]
    return frozenset(sampled) | frozenset(following[:more])


def _score(
    params: Params, folder: Path, reward: Path, candidates: list[Candidate], progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings (N, D) of candidates, and their rewards (N,)."""
    from hfi_core.compute.device import configure_torch
    from hfi_core.reward.model import RewardModel, embed_candidates

    configure_torch(params.compute)
    features = embed_candidates(params, folder, candidates, progress)
    return features.double().numpy(), RewardModel.load(reward).rewards(features).double().numpy()
