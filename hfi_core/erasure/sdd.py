"""Safe self-distillation (Kim et al. 2023, eq. 6) under the text concept or under v* (HFI, section 4)."""

import torch

from hfi_core.erasure.targets import DistillationTarget, ErasureConcept, Target
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.prompts import replace_text


def lessons(model: TextToImage, material: list[ErasureConcept], condition: str) -> list[DistillationTarget]:
    """One lesson a concept: its prompts, with the text concept or with v* in its place."""
    found = []
    with torch.no_grad():
        empty = model.encode([""])
        for part in material:
            name = token_name(part.name, "objectionable")
            prompts = list(part.concept.prompts)
            if condition == "token":
                prompts = [replace_text(prompt, part.concept.text, name) for prompt in prompts]
            conditions = model.encode(prompts, part.tokens)
            found.append(DistillationTarget(part.name, conditions, ((1.0, empty.expand_as(conditions)),)))
    return found


def own_unconditional(model: TextToImage) -> Target:
    """The target is the student's own noise estimate for the empty prompt, without gradient."""

    def target(student, x_t, t, anchors):
        return model.predict(x_t, t, anchors, student)

    return target
