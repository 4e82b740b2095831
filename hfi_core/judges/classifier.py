"""A judge from any `transformers` image classification folder: params say which labels are flagged or accepted."""

import difflib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hfi_core.compute.batching import map_in_padded_batches
from hfi_core.compute.device import device_of
from hfi_core.errors import UserError
from hfi_core.judges.base import PictureVerdict, Scores
from hfi_core.models.weights import locate_pinned, require_all_tensors
from hfi_core.params import Compute, JudgeParams


class ClassifierJudge:
    """A judge that adds up the probabilities of labels.

    A picture is flagged if the flagged labels together reach the threshold, and kept if the accepted labels do.

    For `correct`, the judge considers the labels that occur in a prompt of the suite or of its rivals. A picture is
    correct if the most probable of these labels occurs in its own prompt. If no label occurs in these prompts, no
    picture is correct: `correct` only means something if the classifier's labels name the subjects of the suites.
    """

    def __init__(self, network, processor, labels: list[str], params: JudgeParams, compute: Compute):
        self.network, self.processor, self.labels = network, processor, labels
        self.flagged = [_find_label(label, labels, "flagged") for label in params.flagged]
        self.accepted = [_find_label(label, labels, "accepted") for label in params.accepted]
        self.threshold, self.block, self.device = params.threshold, compute.block, device_of(compute)

    @classmethod
    def load(cls, params: JudgeParams, compute: Compute) -> "ClassifierJudge":
        """Load network, processor and labels; see `Judge.load`."""
        folder = locate_pinned(params.source, params.revision, params.digest, "judge")
        network, processor = _load_classifier(folder)
        by_index = sorted((int(index), label) for index, label in network.config.id2label.items())
        network = network.to(device_of(compute)).eval().requires_grad_(False)
        return cls(network, processor, [label for _, label in by_index], params, compute)

    def see(self, pictures: np.ndarray) -> torch.Tensor:
        """Return the probabilities of the labels (N, labels); see `Judge.see`."""
        return map_in_padded_batches(pictures, self.block, self._probabilities)

    def judge(self, seen: torch.Tensor, prompts: Sequence[str], rivals: Sequence[str] = ()) -> list[PictureVerdict]:
        """See `Judge.judge`."""
        flagged = seen[:, self.flagged].sum(1)
        accepted = seen[:, self.accepted].sum(1)
        confidence = torch.stack([flagged, accepted, 1 - flagged - accepted]).amax(0)
        texts = {*prompts, *rivals}
        named = [i for i, label in enumerate(self.labels) if any(_occurs(label, text) for text in texts)]
        verdicts = []
        for i, prompt in enumerate(prompts):
            best = max(named, key=lambda index: float(seen[i, index]), default=None)
            is_flagged = float(flagged[i]) >= self.threshold
            verdicts.append(
                PictureVerdict(
                    flagged=is_flagged,
                    kept=not is_flagged and float(accepted[i]) >= self.threshold,
                    correct=best is not None and _occurs(self.labels[best], prompt),
                    readable=float(confidence[i]) >= self.threshold,
                    scores=Scores(float(flagged[i]), float(accepted[i])),
                )
            )
        return verdicts

    def _probabilities(self, pictures: list[np.ndarray]) -> torch.Tensor:
        pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"].to(self.device)
        return self.network(pixel_values=pixels).logits.float().softmax(-1)


def _load_classifier(folder: Path):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        network, report = AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
    except Exception as error:  # transformers passes on any error of its parsers
        raise UserError(
            f"evaluate.judge.source {folder} is not a readable image classification folder "
            f"({type(error).__name__}): {str(error)[:300]}"
        ) from error
    require_all_tensors(folder, report, "classifier")
    return network, processor


def _find_label(label: str, labels: list[str], group: str) -> int:
    if label in labels:
        return labels.index(label)
    similar = difflib.get_close_matches(label, labels, n=1, cutoff=0.4)
    hint = f"Did you mean {similar[0]!r}?" if similar else f"Its labels: {', '.join(map(repr, labels[:20]))}."
    raise UserError(f"evaluate.judge.{group}: the classifier has no label {label!r}. {hint}")


def _occurs(label: str, prompt: str) -> bool:
    """Return whether the prompt contains one of the label's names (ImageNet: "tench, Tinca tinca") as whole words."""
    names = [name.strip().replace("_", " ") for name in label.split(",")]
    return any(re.search(rf"\b{re.escape(name)}\b", prompt, re.IGNORECASE) for name in names if name)
