"""Re-inversion: invert a token for the concept again, on the safeguarded model (Pham et al. 2023; method, section 6).

Nothing here was trained against: the seeds and the pictures are others, and the pictures are weighted by labels and by
no reward model.
"""

from dataclasses import replace
from pathlib import Path

import torch

from hfi_core.attacks.base import AttackPrompt, Found, Target, repeat_prompts
from hfi_core.inversion.textual_inversion import InversionSettings, invert_token, make_start_vectors, repeat_vectors
from hfi_core.inversion.tokens import token_phrase
from hfi_core.params import Reinversion
from hfi_core.progress import Progress, report_steps
from hfi_core.prompts import replace_text


def attack(target: Target, spec: Reinversion, *, work: Path | None, progress: Progress) -> Found:
    """Invert a token, and put it into the concept's prompts, at each of the looks and at the end."""
    attacker, text = target.attacker, target.concept.text
    name = attacker.token()
    start = _make_start(target, spec)
    examples = target.load_examples()
    if spec.contrast:
        examples = replace(examples, opposite=target.load_accepted())
    snapshots = dict.fromkeys(spec.looks, start)
    vectors, history = invert_token(
        target.model,
        examples,
        text,
        name,
        start,
        InversionSettings.of(spec),
        key=target.key,
        beside=spec.beside,
        work=work,
        observe=report_steps(progress, spec.steps, "inverting"),
        snapshots=snapshots,
    )
    tokens, prompts = {name: vectors}, _draw_token(target, spec, name)
    for step in spec.looks:
        tokens[attacker.token("step", step)] = snapshots[step]
        prompts += _draw_token(target, spec, attacker.token("step", step), step)
    return Found(prompts, tokens, losses=history.tolist())


def _draw_token(target: Target, spec: Reinversion, name: str, step: int | None = None) -> list[AttackPrompt]:
    text = target.concept.text
    phrase = token_phrase(text, name, beside=spec.beside)
    return repeat_prompts(target, lambda prompt: replace_text(prompt, text, phrase), spec.pictures, step)


def _make_start(target: Target, spec: Reinversion) -> torch.Tensor:
    """Return the start (vectors, D): a word's embeddings, or the token's vectors, repeated as often as needed."""
    key = (target.seed, "attack", *target.attacker.seed_suffix)
    if spec.start.token:
        return repeat_vectors(target.token_of(spec.start.token).to(target.model.device), spec.vectors, *key)
    assert spec.start.word is not None, "params have one of the two"
    return make_start_vectors(target.model, spec.start.word, spec.vectors, *key)
