"""Measure what each removal keeps at an equal amount of removal: SDD under the word, SDD under v*, and anchored.

All three run in one run. Each learns at its own settings in params.yaml, and longer if it must. Every 10 steps of SDD
and every 2 steps of anchored, which needs few, 168 broad pictures are drawn and judged. A level is a part of the base's
flagged ones. As soon as at most this part is left, other pictures are drawn, with the same seeds for every row. They
had no influence on when to stop. The figures are of these pictures, with Wilson intervals of 95 % over pictures. One
seed of training. Needs the tokens of a finished `hfi run`.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks import machine
from benchmarks.judging import draw_and_judge
from benchmarks.results import Figure
from benchmarks.stopping import distill_until
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import picture_seed
from hfi_core.erasure import anchored, sdd
from hfi_core.erasure.methods import distillation_settings, make_rollouts
from hfi_core.erasure.targets import ErasureConcept, frozen_target
from hfi_core.inversion.tokens import load_tokens
from hfi_core.judges.base import PictureVerdict, load_judge
from hfi_core.metrics.intervals import wilson_interval
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest

LEVELS = (0.75, 0.5, 0.25)
"""Parts of the base's flagged broad pictures that are left."""
WATCHED = 7
"""Broad pictures per prompt that decide whether a level is reached."""
FIGURES = ("flagged@broad", "kept@broad", "kept@neighbours", "correct@unrelated")
REPORTED = {"broad": 13, "neighbours": 11, "unrelated": 8}
"""Pictures per prompt that the figures are of, by suite."""
EVERY = {"sdd": 10, "anchored": 2}
"""Gradient steps between two such checks, by method."""
MOST_STEPS = 400


def measure() -> dict[str, Figure]:
    """Train each removal until the last level is reached, and measure at each level."""
    params = machine.project_params()
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    judge = load_judge(params.evaluate.judge, params.compute)
    material = [
        ErasureConcept(name, concept, load_tokens(Path("tokens") / name), load_examples=list, load_judged=list)
        for name, concept in params.concepts.items()
    ]

    def draw(purpose: str, suite: str, count: int, weights) -> list[PictureVerdict]:
        requests = [
            SampleRequest(prompt, picture_seed("equal removal", purpose, suite, prompt, i))
            for prompt in params.evaluate.suites[suite].prompts
            for i in range(count)
        ]
        return draw_and_judge(model, judge, params, requests, weights)

    def count_flagged(weights) -> int:
        return sum(verdict.flagged for verdict in draw("watched", "broad", WATCHED, weights))

    def measure_shares(weights) -> dict[str, Figure]:
        verdicts = {suite: draw("reported", suite, count, weights) for suite, count in REPORTED.items()}
        shares = {}
        for figure in FIGURES:
            attribute, _, suite = figure.partition("@")
            hits = sum(getattr(verdict, attribute) for verdict in verdicts[suite])
            share = wilson_interval(hits, len(verdicts[suite]), 0.95)
            shares[figure] = Figure(share.value, share.low, share.high, share.n)
        return shares

    figures: dict[str, Figure] = {}

    def add(title: str, added: dict[str, Figure]) -> None:
        figures.update({f"{title}: {name}": figure for name, figure in added.items()})

    def train_to_levels(row: str) -> None:
        spec, levels_ahead = params.removals[row], list(LEVELS)
        targets, target_noise = (
            (anchored.make_targets(model, material, {}, spec.contrast, spec.preserve), frozen_target(model))
            if spec.method == "anchored"
            else (sdd.make_targets(model, material, spec.condition), sdd.unconditional_target(model))
        )

        def all_reached(step: int, teacher) -> bool:
            if step % EVERY[spec.method]:
                return False
            flagged = count_flagged(teacher)
            print(f"  {row}, step {step}: {flagged} flagged", flush=True)
            reached = [level for level in levels_ahead if flagged <= level * base]
            shares = measure_shares(teacher) if reached else {}
            for level in reached:
                add(f"{row} at {level} of base", {"steps": Figure(step)} | shares)
                levels_ahead.remove(level)
            return not levels_ahead

        settings = replace(distillation_settings(spec), steps=MOST_STEPS)
        rollouts = make_rollouts(model, targets, spec, params, (params.seed, row))
        distill_until(all_reached, model, rollouts, target_noise, settings)
        for level in levels_ahead:
            print(f"{row} did not reach {level} of base in {MOST_STEPS} steps")

    base = count_flagged(None)
    print(f"  base: {base} flagged", flush=True)
    add("base", measure_shares(None))
    for row in ("sdd-text", "sdd-token", "anchored"):
        train_to_levels(row)
    return figures
