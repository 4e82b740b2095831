"""Attacks without a model: what attackers get, and findings that they might have written."""

from pathlib import Path
from typing import Any

import torch

from hfi_core.attacks.base import Attacker, Found, Target, list_attackers, repeat_prompts
from hfi_core.attacks.files import AttackerResult, write_attack
from hfi_core.params import Params
from hfi_core.prompts import replace_text


def make_target(params: Params, attacker: Attacker, **given: Any) -> Target:
    """What an attacker gets; what a test does not give is None."""
    absent = dict.fromkeys(("model", "tokens", "load_examples", "load_accepted", "load_base", "score_pictures"))
    return Target(
        attacker=attacker, concept=params.concepts[attacker.concept], sampler=params.sampler,
        block=params.compute.block, seed=params.seed, **absent | given,
    )  # fmt: skip


def write_tokens_found(row: Path, params: Params, vectors: torch.Tensor | None = None) -> list[Attacker]:
    """Write what re-inversions may find into `attacks/ROW`: each token in the place of the concept's text."""
    everyone = []
    for name, spec in params.attacks.items():
        results = []
        for concept, its in params.concepts.items():
            for attacker in list_attackers(name, spec, concept):
                target, tokens, prompts = make_target(params, attacker), {}, []
                for step in (*getattr(spec, "looks", ()), None):
                    token = attacker.token() if step is None else attacker.token("step", step)
                    prompts += repeat_prompts(
                        target, lambda p, token=token, its=its: replace_text(p, its.text, token), spec.pictures, step
                    )
                    if vectors is not None:
                        tokens[token] = vectors + len(everyone)
                results.append(AttackerResult(attacker, Found(prompts, tokens)))
                everyone.append(attacker)
        write_attack(row / name, results, guidance=params.sampler.guidance, base=params.model.digest)
    return everyone
