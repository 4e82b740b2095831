"""Safe self-distillation, SDD (Kim et al. 2023, eq. 6), under the text concept or under v* (HFI, section 4)."""

import torch

from hfi_core.erasure.targets import DistillationTarget, ErasureConcept, TargetNoise, encode_concept
from hfi_core.models.diffusion.model import TextToImage


def make_targets(model: TextToImage, concepts: list[ErasureConcept], condition: str) -> list[DistillationTarget]:
    """Return one target per concept: from its prompts, with the concept's text or with v*, to the empty prompt."""
    targets = []
    with torch.no_grad():
        empty = model.encode([""])
        for concept in concepts:
            conditions = encode_concept(model, concept, condition)
            targets.append(DistillationTarget(concept.name, conditions, ((1.0, empty.expand_as(conditions)),)))
    return targets


def unconditional_target(model: TextToImage) -> TargetNoise:
    """Return the target of SDD: the student's own noise estimate for the empty prompt, without gradient."""

    def target_noise(student, x_t, t, anchors):
        return model.predict(x_t, t, anchors, student)

    return target_noise
