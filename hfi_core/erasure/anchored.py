"""Anchored removal (ours): map the text concept and v* onto u*, which is inverted from what people accept.

L = E || eps_student(x_t, t, c) - a ||^2 + E || eps_student(x_t, t, v) - a ||^2, with the anchor
a = eps_frozen(x_t, t, u) + gamma (eps_frozen(x_t, t, u) - eps_frozen(x_t, t, v)).
The frozen base gives the target, so the target cannot drift. gamma (`contrast`) pushes the anchor away from v*, as
negative guidance does (compare ESD, Gandikota et al. 2023, eq. 6): the student does not learn what u* shares with v*.
u may be one of several conditions: each roll-out gets one, so the student is pulled to their mean.
A last target keeps the frozen estimate where the concept is not named: for the empty prompt, and for the concept's
prompts without its text.
Related: Kumari et al. 2023 (anchors in words); RECE (Gong et al. 2024) and AdvUnlearn (Zhang et al. 2024) for the
rounds. See docs/explanation/method.md.
"""

from collections.abc import Callable, Mapping, Sequence
from math import lcm

import torch

from hfi_core.erasure.adversarial_tokens import FoundToken, draw_near
from hfi_core.erasure.anchors import accepted_tokens
from hfi_core.erasure.targets import DistillationTarget, ErasureConcept
from hfi_core.erasure.words import ChosenWords, beside
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Anchored
from hfi_core.prompts import leave_out, replace_text

AnchorPrompts = Callable[[ErasureConcept], list[list[str]]]
"""Returns the anchors of a concept's prompts, for each alternative."""


def accepted_prompts(concept: ErasureConcept) -> list[list[str]]:
    """Return the concept's prompts with u* in the place of its text; one alternative for each u*."""
    return [_place(concept, name) for name in accepted_tokens(concept)]


def anchor_prompts(spec: Anchored) -> AnchorPrompts:
    """Return the function that gives the anchors which a row names: u*, words, both equally often, or nothing."""

    def prompts(concept: ErasureConcept) -> list[list[str]]:
        if spec.anchor == "empty":
            return [[""] * len(concept.spec.prompts)]
        tokens = accepted_prompts(concept)
        words = [_place(concept, f"{concept.spec.text} {words}") for words in spec.anchor_words]
        if spec.anchor == "both":
            count = lcm(len(tokens), len(words))
            return [*tokens * (count // len(tokens)), *words * (count // len(words))]
        return words if spec.anchor == "words" else tokens

    return prompts


@torch.no_grad()
def make_targets(
    model: TextToImage,
    concepts: Sequence[ErasureConcept],
    found: Mapping[str, Sequence[FoundToken]],
    contrast: float,
    preserve: bool,
    *,
    anchors_of: AnchorPrompts = accepted_prompts,
    jitter: float = 0.0,
) -> list[DistillationTarget]:
    """Return the targets of all concepts: for the text, for v*, and for each token that was `found` on the way.

    With `jitter`, one more for tokens near v*. With `preserve`, a last target keeps what the model draws where no
    concept is named.
    """
    targets = []
    factors = (1 + contrast, -contrast) if contrast else (1.0,)
    for concept in concepts:
        alternatives, objectionable = anchors_of(concept), token_name(concept.name, "objectionable")
        v_star = concept.tokens[objectionable]
        times = len(alternatives)
        u = model.encode([prompt for prompts in alternatives for prompt in prompts], concept.tokens)
        v = model.encode(_place(concept, objectionable) * times, concept.tokens)
        anchors = tuple(zip(factors, (u, v), strict=False))
        text = model.encode(list(concept.spec.prompts) * times)
        targets.append(DistillationTarget(f"{concept.name} text", text, anchors))
        for token in [FoundToken(objectionable, v_star), *found.get(concept.name, ())]:
            places = _place(concept, token.stands_for(concept.spec.text)) * times
            conditions = model.encode(places, {token.name: token.vectors})
            targets.append(DistillationTarget(f"{concept.name} {token.name}", conditions, anchors))
        if jitter:
            redraw = draw_near(model, concept, v_star, jitter, times)
            targets.append(DistillationTarget(f"{concept.name} near v*", v, anchors, redraw))
    if preserve:
        without = {leave_out(prompt, concept.spec.text) for concept in concepts for prompt in concept.spec.prompts}
        preserved = model.encode(sorted({"", *without}))
        targets.append(DistillationTarget("preserved", preserved, ()))
    return targets


@torch.no_grad()
def word_targets(
    model: TextToImage,
    concepts: Sequence[ErasureConcept],
    chosen: ChosenWords,
    contrast: float,
    anchors_of: AnchorPrompts,
) -> list[DistillationTarget]:
    """Return the targets of other words: those that are mapped away, by concept, and those that are held.

    A word in the place of the concept's text is mapped onto the prompt without it; beside the text, onto the concept's
    anchor, pushed away from v*.
    """
    targets = []
    for concept in concepts:
        words = chosen.objectionable.get(concept.name, ())
        if not words:
            continue
        alternatives, objectionable = anchors_of(concept), token_name(concept.name, "objectionable")
        text, times = concept.spec.text, len(alternatives)
        alone = [prompt for word in words for prompt in _place(concept, word)]
        near = [prompt for word in words for prompt in _place(concept, beside(text, word)) * times]
        u = [prompt for prompts in alternatives for prompt in prompts] * len(words)
        without = [leave_out(prompt, text) for prompt in concept.spec.prompts] * len(words)
        v = _place(concept, objectionable) * times * len(words)
        is_beside = torch.tensor([0.0] * len(alone) + [1.0] * len(near), device=model.device)
        anchors = [(1 + contrast * is_beside, model.encode([*without, *u], concept.tokens))]
        if contrast:
            anchors.append((-contrast * is_beside, model.encode([*without, *v], concept.tokens)))
        conditions = model.encode([*alone, *near])
        targets.append(DistillationTarget(f"{concept.name} objectionable words", conditions, tuple(anchors)))
    if chosen.held:
        targets.append(DistillationTarget("held words", model.encode(chosen.held), ()))
    return targets


def _place(concept: ErasureConcept, words: str) -> list[str]:
    """Return the concept's prompts with words in the place of its text."""
    return [replace_text(prompt, concept.spec.text, words) for prompt in concept.spec.prompts]
