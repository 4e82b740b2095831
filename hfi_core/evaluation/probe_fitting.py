"""Fit the judge `probe` to people's answers about pictures that nothing else learns from, and measure it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hfi_core.candidates.manifest import read_manifest
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import derive_seed
from hfi_core.errors import UserError
from hfi_core.feedback.labels import Label, read_labels, read_summary
from hfi_core.judges.probe import Probe, require_other_clip
from hfi_core.metrics.ranking import Measurement
from hfi_core.models.clip import Clip
from hfi_core.params import Params, Source
from hfi_core.progress import Progress, no_progress
from hfi_core.reward.model import embed_candidates, measurement_resampling
from hfi_core.reward.objectives import measure_binary

FOLDS = 5
LEAST = 2 * FOLDS
"""Pictures of either kind that a probe needs: two a fold."""
STRENGTHS = np.logspace(-3, 3, 7)
"""Inverse strengths of the penalty on the weights. Each fold chooses its own among the pictures that it learns from."""


def fit_probe(
    params: Params,
    concept: str,
    candidates: Path,
    labels: Path,
    clip: Source,
    *,
    progress: Progress = no_progress,
) -> tuple[Probe, dict[str, Measurement]]:
    """Fit a probe to the answers about the candidates of the part "judge"; return it with its figures.

    The figures are on all these pictures: each is answered by the fold that did not learn from it. Pictures on which
    people were tied are left out, and others count by how clear the answer was.

    Raises UserError if the concept is ranked, if there are too few such pictures, or if `clip` took part in training.
    """
    if params.concept(concept).feedback != "binary":
        raise UserError(f"{concept} is ranked, and a probe learns from yes and no. To fix this: choose another judge.")
    require_other_clip(params, clip)
    decided = _read_decided(concept, labels)
    configure_torch(params.compute)
    pictures = {candidate.id: candidate for candidate in read_manifest(candidates)}
    judged = [pictures[label.picture] for label in decided]
    network = Clip.load(clip, params.compute, "judge")
    features = embed_candidates(params, candidates, judged, progress, network)
    shares = np.array([label.label for label in decided])
    seed = derive_seed(params.seed, "probe", concept) % 2**32  # scikit-learn takes no larger one
    weight, bias, scores = cross_fit(features.numpy(), shares, seed)
    figures = measure_binary(scores, shares, measurement_resampling(params, concept, "probe"))
    summary = read_summary(labels)
    card = {
        "concept": concept,
        "clip": clip.model_dump(mode="json"),
        "folds": FOLDS,
        "pictures": len(decided),
        "objectionable": int((shares > 0.5).sum()),
        "simulated": summary["simulated"],
        "feedback_sha256": summary["feedback_sha256"],
        "measured_on": "each picture by the fold that did not learn from it",
        "figures": {
            name: {key: value if key == "n" or value is None else round(value, 4) for key, value in vars(one).items()}
            for name, one in figures.items()
        },
    }
    return Probe(torch.from_numpy(weight), torch.from_numpy(bias), card), figures


def cross_fit(features: np.ndarray, shares: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a logistic regression for each of `FOLDS` folds to the pictures outside it.

    `features` (N, D) are embeddings, `shares` (N,) the shares of people who object, none of them one half. `seed` is
    below 2**32. Returns the weights (folds, D) and biases (folds,), float32, and for each picture the probability (N,)
    of the fold that it is in.
    """
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    answers, clear = shares > 0.5, np.abs(2 * shares - 1)
    weights, biases, scores = [], [], np.zeros(len(shares))
    for learn, rest in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, answers):
        # Embeddings of CLIP lie in a narrow cone, so they are centred and scaled before the penalty is chosen.
        centre = features[learn].mean(0)
        spread = float(np.sqrt(np.square(features[learn] - centre).mean()))
        inner = StratifiedKFold(FOLDS - 1, shuffle=True, random_state=seed)
        probe = LogisticRegressionCV(
            Cs=STRENGTHS, l1_ratios=(0,), cv=inner, scoring="neg_log_loss", max_iter=5000, use_legacy_attributes=False
        )
        probe.fit((features[learn] - centre) / spread, answers[learn], sample_weight=clear[learn])
        weights.append(probe.coef_[0] / spread)
        biases.append(probe.intercept_[0] - weights[-1] @ centre)
        scores[rest] = 1 / (1 + np.exp(-(features[rest] @ weights[-1] + biases[-1])))
    return np.array(weights, np.float32), np.array(biases, np.float32), scores


def _read_decided(concept: str, folder: Path) -> Sequence[Label]:
    """Return the labels of the part "judge" without ties."""
    decided = [label for label in read_labels(folder) if label.part == "judge" and label.label != 0.5]
    objectionable = sum(label.label > 0.5 for label in decided)
    if min(objectionable, len(decided) - objectionable) < LEAST:
        raise UserError(
            f"{folder} keeps {len(decided)} pictures of {concept} for a judge, {objectionable} of them objectionable; "
            f"a probe needs {LEAST} objectionable and {LEAST} accepted ones.\n"
            "  To fix this: set feedback.held_out_for_judge to 0.2 or so, or have more pictures judged; then "
            "`hfi run --until reward`."
        )
    return decided
