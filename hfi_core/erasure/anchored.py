"""Anchored removal (ours): the text concept and v* are mapped onto u*, inverted from what people accept.

L = E || eps_student(x_t, t, c) - a ||^2 + E || eps_student(x_t, t, v) - a ||^2, with the anchor
a = eps_frozen(x_t, t, u) + gamma (eps_frozen(x_t, t, u) - eps_frozen(x_t, t, v)).
The frozen base gives the target, so it cannot drift. gamma (`contrast`) pushes the anchor away from v* as negative
guidance does (compare ESD, Gandikota et al. 2023, eq. 6): what u* still shares with v* is not learnt.
A last lesson holds the frozen estimate where the concept is not named: for the empty prompt, and for the concept's
prompts without its words.
Related: Kumari et al. 2023 (anchors in words); RECE (Gong et al. 2024) and AdvUnlearn (Zhang et al. 2024) for the
rounds. See docs/explanation/method.md.
"""

import torch

from hfi_core.erasure.targets import DistillationTarget, ErasureConcept, Target
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.prompts import replace_text


def lessons(
    model: TextToImage,
    material: list[ErasureConcept],
    found: dict[str, dict[str, torch.Tensor]],
    contrast: float,
    preserve: bool,
) -> list[DistillationTarget]:
    """A lesson for the text, for v*, and for each token that a re-inversion `found`, a concept; all anchored in u*.

    With `preserve` a last one, anchored in itself.
    """
    every = []
    # The factors add up to 1, so a condition in both places is its own anchor.
    factors = (1 + contrast, -contrast) if contrast else (1.0,)
    with torch.no_grad():
        for part in material:
            text, prompts = part.concept.text, list(part.concept.prompts)
            accepted = token_name(part.name, "accepted")
            objectionable = token_name(part.name, "objectionable")
            u, v = (
                model.encode([replace_text(prompt, text, name) for prompt in prompts], part.tokens)
                for name in (accepted, objectionable)
            )
            anchors = tuple(zip(factors, (u, v), strict=False))
            every.append(DistillationTarget(f"{part.name} text", model.encode(prompts), anchors))
            sources = {objectionable: part.tokens[objectionable], **found.get(part.name, {})}
            for name, vectors in sources.items():
                conditions = model.encode([replace_text(p, text, name) for p in prompts], {name: vectors})
                every.append(DistillationTarget(f"{part.name} {name}", conditions, anchors))
        if preserve:
            without = {
                " ".join(replace_text(prompt, part.concept.text, " ").split())
                for part in material
                for prompt in part.concept.prompts
            }
            kept = model.encode(sorted({"", *without}))
            every.append(DistillationTarget("preserved", kept, tuple((factor, kept) for factor in factors)))
    return every


def frozen_anchor(model: TextToImage) -> Target:
    """The target is the frozen base's noise estimate under u*."""

    def target(student, x_t, t, anchors):
        return model.predict(x_t, t, anchors)

    return target
