"""Measure the seconds until a part of the flagged pictures is gone: the reference schedule and ours, in one run.

Both learn the same target (the text concept mapped onto u*) with the same EMA and clipping on the embedded model, at
each of three rates. Every 4 gradient steps, 128 pictures are drawn and judged. This time is subtracted. A level is the
part of the base's flagged pictures that is left. A level that was not reached in 60 steps has no figure. The last
figures compare each schedule at its best rate. This target alone ends near a fifth of base: the rounds that `anchored`
adds remove the rest. `closed form` is the removal of that name, which has no steps. It starts from the tokens, and its
seconds are those of its whole mapping, v* included. One seed of training. Needs the tokens of a finished `hfi run`.
"""

import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import machine, reference_schedule
from benchmarks.judging import draw_and_judge
from benchmarks.results import Figure
from benchmarks.stopping import distill_until
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import picture_seed
from hfi_core.erasure.methods import distillation_settings, make_rollouts, remove_in_closed_form
from hfi_core.erasure.targets import DistillationTarget, ErasureConcept, frozen_target
from hfi_core.inversion.tokens import load_tokens, token_name
from hfi_core.judges.base import load_judge
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest
from hfi_core.params import ClosedForm
from hfi_core.prompts import replace_text

LEVELS = (0.5, 0.25)
CLOSED_FORM = ClosedForm(method="closed_form", contrast=1.0, hold=1.0, ridge=0.01)
RATES = (5e-4, 1e-3, 2e-3)
PICTURES = 128
EVERY = 4
MOST_STEPS = 60


class _Watch:
    """Count training seconds, and record when each level is reached."""

    def __init__(self, base: float, flagged):
        self._base, self._flagged = base, flagged
        self.seconds, self._since = 0.0, time.perf_counter()
        self.reached: dict[float, tuple[float, int, float]] = {}
        """By level: seconds, steps, and the share that is flagged then."""

    def __call__(self, step: int, weights) -> bool:
        if step % EVERY:
            return False
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self._since
        share = self._flagged(weights)
        print(f"  step {step}: flagged {share:.3f} after {self.seconds:.1f} s", flush=True)
        for level in LEVELS:
            if share <= level * self._base and level not in self.reached:
                self.reached[level] = (self.seconds, step, share)
        self._since = time.perf_counter()
        return len(self.reached) == len(LEVELS)


def measure() -> dict[str, Figure]:
    """Solve the closed form, then train on both schedules at every rate."""
    params = machine.project_params()
    configure_torch(params.compute)
    name, concept = next(iter(params.concepts.items()))
    spec = params.removals["anchored"]
    model = load_base_model(params.model, params.compute)
    judge = load_judge(params.evaluate.judge, params.compute)
    tokens = load_tokens(Path("tokens") / name)
    prompts = list(concept.prompts)
    accepted = token_name(name, "accepted")
    with torch.no_grad():
        conditions = model.encode(prompts)
        anchors = model.encode([replace_text(p, concept.text, accepted) for p in prompts], tokens)

    def flagged(weights) -> float:
        requests = [
            SampleRequest(prompts[i % len(prompts)], picture_seed("benchmark", i)) for i in range(PICTURES)
        ]  # fmt: skip
        return sum(verdict.flagged for verdict in draw_and_judge(model, judge, params, requests, weights)) / PICTURES

    base = flagged(None)
    print(f"base: flagged {base:.3f}")
    figures = {"base flagged": Figure(base, n=PICTURES)}

    def ours(watch: _Watch, rate: float) -> None:
        settings = replace(distillation_settings(spec), steps=MOST_STEPS, rate=rate)
        targets = [DistillationTarget("text", conditions, ((1.0, anchors),))]
        rollouts = make_rollouts(model, targets, spec, params, ("benchmark",))
        distill_until(watch, model, rollouts, frozen_target(model), settings)

    def reference(watch: _Watch, rate: float) -> None:
        reference_schedule.train(
            model, conditions, anchors, steps=MOST_STEPS, rate=rate, ema=spec.ema, guidance=spec.guidance,
            after_step=lambda step, teacher: watch(step + 1, dict(teacher.named_parameters())),
        )  # fmt: skip

    best: dict[tuple[str, float], float] = {}
    material = [ErasureConcept(name, concept, tokens, load_examples=list, load_judged=list)]
    begun = time.perf_counter()
    solved, _ = remove_in_closed_form(
        model, material, CLOSED_FORM, params, key=(), work=None, before_step=lambda *_: None, progress=lambda *_: None
    )
    seconds = time.perf_counter() - begun
    share = flagged(solved)
    figures |= {"closed form: seconds": Figure(seconds), "closed form: flagged then": Figure(share, n=PICTURES)}
    best |= {("closed form", level): seconds for level in LEVELS if share <= level * base}
    for rate in RATES:
        for schedule in (ours, reference):
            name = schedule.__name__
            print(f"{name}, rate {rate}")
            watch = _Watch(base, flagged)
            schedule(watch, rate)
            for level, (seconds, steps, share) in watch.reached.items():
                title = f"{name}, rate {rate:.0e}, to {level}"
                figures |= {
                    f"{title}: seconds": Figure(seconds),
                    f"{title}: gradient steps": Figure(steps),
                    f"{title}: flagged then": Figure(share, n=PICTURES),
                }
                best[name, level] = min(seconds, best.get((name, level), seconds))
    for level in LEVELS:
        for name in ("ours", "closed form"):
            if {(name, level), ("reference", level)} <= best.keys():
                gain = best["reference", level] / best[name, level]
                figures[f"best reference over best {name} to {level}, seconds"] = Figure(gain)
    return figures
