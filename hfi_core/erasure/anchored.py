"""Anchored removal (ours): map the text concept and v* onto u*, which is inverted from what people accept.

L = E || eps_student(x_t, t, c) - a ||^2 + E || eps_student(x_t, t, v) - a ||^2, with the anchor
a = eps_frozen(x_t, t, u) + gamma (eps_frozen(x_t, t, u) - eps_frozen(x_t, t, v)).
The frozen base gives the target, so the target cannot drift. gamma (`contrast`) pushes the anchor away from v*, as
negative guidance does (compare ESD, Gandikota et al. 2023, eq. 6): the student does not learn what u* shares with v*.
A last target keeps the frozen estimate where the concept is not named: for the empty prompt, and for the concept's
prompts without its text.
Related: Kumari et al. 2023 (anchors in words); RECE (Gong et al. 2024) and AdvUnlearn (Zhang et al. 2024) for the
rounds. See docs/explanation/method.md.
"""

import torch

from hfi_core.erasure.targets import DistillationTarget, ErasureConcept
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.prompts import replace_text


def make_targets(
    model: TextToImage,
    concepts: list[ErasureConcept],
    reinverted: dict[str, dict[str, torch.Tensor]],
    contrast: float,
    preserve: bool,
) -> list[DistillationTarget]:
    """Return the targets of all concepts: for the text, for v*, and for each `reinverted` token; the anchor is u*.

    With `preserve`, a last target keeps what the model draws where no concept is named.
    """
    targets = []
    # The factors add up to 1, so a condition that is used for both anchors is its own anchor.
    factors = (1 + contrast, -contrast) if contrast else (1.0,)
    with torch.no_grad():
        for concept in concepts:
            text, prompts = concept.spec.text, list(concept.spec.prompts)
            accepted = token_name(concept.name, "accepted")
            objectionable = token_name(concept.name, "objectionable")
            u, v = (
                model.encode([replace_text(prompt, text, name) for prompt in prompts], concept.tokens)
                for name in (accepted, objectionable)
            )
            anchors = tuple(zip(factors, (u, v), strict=False))
            targets.append(DistillationTarget(f"{concept.name} text", model.encode(prompts), anchors))
            sources = {objectionable: concept.tokens[objectionable], **reinverted.get(concept.name, {})}
            for name, vectors in sources.items():
                conditions = model.encode([replace_text(p, text, name) for p in prompts], {name: vectors})
                targets.append(DistillationTarget(f"{concept.name} {name}", conditions, anchors))
        if preserve:
            without = {
                " ".join(replace_text(prompt, concept.spec.text, " ").split())
                for concept in concepts
                for prompt in concept.spec.prompts
            }
            preserved = model.encode(sorted({"", *without}))
            targets.append(DistillationTarget("preserved", preserved, tuple((factor, preserved) for factor in factors)))
    return targets
