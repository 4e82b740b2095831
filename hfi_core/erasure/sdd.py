"""Safe self-distillation, SDD (Kim et al. 2023, eq. 6), under the text concept or under v* (HFI, section 4)."""

import torch

from hfi_core.erasure.targets import DistillationTarget, ErasureConcept, TargetNoise
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.prompts import replace_text


def make_targets(model: TextToImage, concepts: list[ErasureConcept], condition: str) -> list[DistillationTarget]:
    """Return one target per concept: from its prompts, with the concept's text or with v*, to the empty prompt."""
    targets = []
    with torch.no_grad():
        empty = model.encode([""])
        for concept in concepts:
            name = token_name(concept.name, "objectionable")
            prompts = list(concept.spec.prompts)
            if condition == "token":
                prompts = [replace_text(prompt, concept.spec.text, name) for prompt in prompts]
            conditions = model.encode(prompts, concept.tokens)
            targets.append(DistillationTarget(concept.name, conditions, ((1.0, empty.expand_as(conditions)),)))
    return targets


def unconditional_target(model: TextToImage) -> TargetNoise:
    """Return the target of SDD: the student's own noise estimate for the empty prompt, without gradient."""

    def target_noise(student, x_t, t, anchors):
        return model.predict(x_t, t, anchors, student)

    return target_noise
