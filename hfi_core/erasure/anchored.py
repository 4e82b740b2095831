"""Anchored removal (ours): the text concept and v* are mapped onto u*, inverted from what people accept.

L = E || eps_student(x_t, t, c) - a ||^2 + E || eps_student(x_t, t, v) - a ||^2, with the anchor
a = eps_frozen(x_t, t, u) + gamma (eps_frozen(x_t, t, u) - eps_frozen(x_t, t, v)).
The frozen base gives the target, so it cannot drift. gamma (`contrast`) pushes the anchor away from v* as negative
guidance does (compare ESD, Gandikota et al. 2023, eq. 6): what u* still shares with v* is not learnt.
Related: Kumari et al. 2023 (anchors in words); RECE (Gong et al. 2024) and AdvUnlearn (Zhang et al. 2024) for the
rounds. See docs/explanation/method.md.
"""

import torch

from hfi_core.diffusion.model import TextToImage
from hfi_core.erasure.material import ConceptMaterial
from hfi_core.erasure.trainer import Lesson, Target
from hfi_core.tokens import token_name, with_token


def lessons(
    model: TextToImage,
    material: list[ConceptMaterial],
    found: dict[str, dict[str, torch.Tensor]],
    contrast: float,
) -> list[Lesson]:
    """A lesson for the text, for v*, and for each token that a re-inversion `found`, a concept; all anchored in u*."""
    every = []
    with torch.no_grad():
        for part in material:
            text, prompts = part.concept.text, list(part.concept.prompts)
            accepted = token_name(part.name, "accepted")
            objectionable = token_name(part.name, "objectionable")
            u, v = (
                model.encode([with_token(prompt, text, name) for prompt in prompts], part.tokens)
                for name in (accepted, objectionable)
            )
            anchors = ((1 + contrast, u), (-contrast, v)) if contrast else ((1.0, u),)
            every.append(Lesson(f"{part.name} text", model.encode(prompts), anchors))
            sources = {objectionable: part.tokens[objectionable], **found.get(part.name, {})}
            for name, vectors in sources.items():
                conditions = model.encode([with_token(p, text, name) for p in prompts], {name: vectors})
                every.append(Lesson(f"{part.name} {name}", conditions, anchors))
    return every


def frozen_anchor(model: TextToImage) -> Target:
    """The target is the frozen base's noise estimate under u*."""

    def target(student, x_t, t, anchors):
        return model.predict(x_t, t, anchors)

    return target
