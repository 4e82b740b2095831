"""What a removal learns: the concepts, and which conditions are pulled to which targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hfi_core.inversion.examples import JudgedPictures
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Concept
from hfi_core.prompts import replace_text
from hfi_core.reward.model import FittedReward


@dataclass(frozen=True)
class ErasureConcept:
    """A concept to remove."""

    name: str
    spec: Concept
    tokens: dict[str, torch.Tensor]
    """v* and u* (n, D) by the token's name, on the model's device."""
    load_examples: Callable[[], TrainingExamples]
    """Loads the objectionable pictures, from which some removals invert a token again between rounds."""
    load_judged: Callable[[], JudgedPictures]
    """Loads all judged pictures, for removals that learn from the judgements themselves."""
    reward: FittedReward | None = None
    """The reward model with the pictures that it scored, for removals that judge what the base draws."""


@dataclass(frozen=True)
class DistillationTarget:
    """Conditions under which the student learns, and the anchors that give the target for each of them."""

    name: str
    conditions: torch.Tensor
    """(P, L, D): the student's conditions."""
    anchors: tuple[tuple[float | torch.Tensor, torch.Tensor], ...]
    """Factors, for all conditions or for each (P,), and conditions (P, L, D). The target is the sum of factor times the
    noise estimate under each condition; nothing is estimated where the factor is 0. Without anchors, the target is the
    frozen base's estimate under the condition itself, whatever the other targets' is."""
    redraw: Callable[[torch.Generator], torch.Tensor] | None = None
    """Draws conditions (P, L, D) anew, each time that roll-outs are drawn, in the place of `conditions`."""


TargetNoise = Callable[[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""`target_noise(student, x_t, t, anchors)`: the noise (B, C, H, W) that the student is pulled to, without gradient."""


def frozen_target(model: TextToImage) -> TargetNoise:
    """Return the target of removals that learn from the frozen base: its noise estimate under the anchors."""

    def target_noise(student, x_t, t, anchors):
        return model.predict(x_t, t, anchors)

    return target_noise


def encode_concept(model: TextToImage, concept: ErasureConcept, condition: str) -> torch.Tensor:
    """Return the conditions (P, L, D) of a concept's prompts, with its text ("text") or with v* ("token")."""
    prompts = list(concept.spec.prompts)
    if condition == "token":
        name = token_name(concept.name, "objectionable")
        prompts = [replace_text(prompt, concept.spec.text, name) for prompt in prompts]
    return model.encode(prompts, concept.tokens)


@torch.no_grad()
def preservation_targets(model: TextToImage, prompts: Sequence[str]) -> list[DistillationTarget]:
    """Return the target of the preserved prompts, which keep the base's estimate; none without prompts."""
    return [DistillationTarget("preserved prompts", model.encode(prompts), ())] if prompts else []
