"""From labels and rewards to the examples that a token is inverted from."""

from pathlib import Path
from typing import Literal

import torch

from hfi_core.candidates.manifest import read_manifest, read_pictures
from hfi_core.errors import UserError
from hfi_core.feedback.labels import read_labels
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.io.json_files import read_jsonl
from hfi_core.models.diffusion.model import TextToImage

Side = Literal["objectionable", "accepted"]


def rewarded(model: TextToImage, candidates: Path, reward: Path, side: Side, top: int, block: int) -> TrainingExamples:
    """The K candidates with the highest (accepted: lowest) reward, weighted by it (HFI, section 3)."""
    scores = {row["picture"]: row["reward"] for row in read_jsonl(reward / "scores.jsonl")}
    return _examples(model, candidates, scores, side, top, block)


def labelled(model: TextToImage, candidates: Path, labels: Path, part: str, block: int) -> TrainingExamples:
    """The objectionable pictures of one part of the labels, weighted by their labels; no reward model is asked."""
    scores = {label.picture: label.label for label in read_labels(labels) if label.part == part}
    return _examples(model, candidates, scores, "objectionable", len(scores), block)


def _examples(
    model: TextToImage, candidates: Path, scores: dict[str, float], side: Side, top: int, block: int
) -> TrainingExamples:
    weights = {picture: score if side == "objectionable" else 1 - score for picture, score in scores.items()}
    # Pictures nearer to the other side teach the wrong thing, however large K is.
    chosen = sorted((p for p, w in weights.items() if w >= 0.5), key=lambda p: (-weights[p], p))[:top]
    if not chosen:
        raise UserError(f"{candidates}: no picture is {side} by the feedback, so there is nothing to invert.")
    rows = [row for row in read_manifest(candidates) if row.id in set(chosen)]
    pictures = read_pictures(candidates, rows)
    height, width = pictures.shape[1:3]
    if (height, width) != (model.picture_size, model.picture_size):
        raise UserError(
            f"{candidates}: the pictures are {width} x {height} pixels, and the model draws {model.picture_size}.\n"
            f"  To mend it: `hfi candidates import FOLDER --size {model.picture_size}`."
        )
    return TrainingExamples(
        latents=model.encode_pictures(pictures, block),
        prompts=[row.prompt for row in rows],
        weights=torch.tensor([weights[row.id] for row in rows], dtype=torch.float32),
    )
