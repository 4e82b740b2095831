"""Seconds until a part of the flagged pictures is gone: the reference schedule against ours, in one run.

Both learn the same lesson (the text concept mapped onto u*) with the same rate, EMA and clipping on the embedded model;
the time spent on looking whether a level is reached is taken off. A level is the part of the base's flagged pictures
that is left; a level that was not reached in the time there is has no row. This lesson alone ends near a fifth of base:
the rounds that `anchored` adds take the rest. One seed of training. Needs the tokens of a finished `hfi run`.
"""

import contextlib
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks import reference_schedule
from benchmarks.machine import describe
from hfi_core.diffusion.compute import prepare
from hfi_core.diffusion.loading import load_model
from hfi_core.diffusion.sampling import Request, sample
from hfi_core.erasure.anchored import frozen_anchor
from hfi_core.erasure.trainer import Lesson, Settings, distill
from hfi_core.judges.registry import load_judge
from hfi_core.params import read_params
from hfi_core.seeding import picture_seed
from hfi_core.tokens import load_tokens, token_name, with_token

LEVELS = (0.5, 0.25)
PICTURES = 128
MOST_SECONDS = 300


class _Reached(Exception):
    pass


class _Watch:
    """Counts training seconds, and notes when each level is reached."""

    def __init__(self, base: float, flagged, every: int):
        self._base, self._flagged, self._every = base, flagged, every
        self.seconds, self._since = 0.0, time.perf_counter()
        self.reached: dict[float, tuple[float, int, float]] = {}
        """Seconds, steps and the share that is flagged then, by level."""

    def __call__(self, step: int, weights) -> bool:
        if (step + 1) % self._every:
            return False
        self.seconds += time.perf_counter() - self._since
        share = self._flagged(weights)
        print(f"  step {step + 1}: flagged {share:.3f} after {self.seconds:.1f} s", flush=True)
        for level in LEVELS:
            if share <= level * self._base and level not in self.reached:
                self.reached[level] = (self.seconds, step + 1, share)
        self._since = time.perf_counter()
        return len(self.reached) == len(LEVELS) or self.seconds > MOST_SECONDS


def main() -> dict[str, float]:
    """Measure both and print one line each."""
    params = read_params(Path("params.yaml"))
    prepare(params.compute)
    name, concept = next(iter(params.concepts.items()))
    spec = params.removals["anchored"]
    model = load_model(params.model, params.compute)
    judge = load_judge(params.evaluate.judge, params.compute)
    tokens = load_tokens(Path("tokens") / name)
    prompts = list(concept.prompts)
    accepted = token_name(name, "accepted")
    with torch.no_grad():
        conditions = model.encode(prompts)
        anchors = model.encode([with_token(p, concept.text, accepted) for p in prompts], tokens)

    def flagged(weights) -> float:
        requests = [
            Request(prompts[i % len(prompts)], picture_seed("benchmark", i)) for i in range(PICTURES)
        ]  # fmt: skip
        drawn = [p for _, p in sample(model, requests, params.sampler, block=params.compute.block, weights=weights)]
        verdicts = judge.judge(judge.see(np.stack(drawn)), [request.prompt for request in requests])
        return sum(verdict.flagged for verdict in verdicts) / PICTURES

    print(describe())
    base = flagged(None)
    print(f"base: flagged {base:.3f}")
    print("ours")
    settings = Settings(
        steps=100_000, batch=spec.batch, rate=spec.rate, ema=spec.ema, guidance=spec.guidance,
        scheduler=params.sampler.scheduler, rollout_steps=spec.rollout_steps, rollouts=spec.rollouts, reuse=spec.reuse,
    )  # fmt: skip
    ours = _Watch(base, flagged, every=spec.reuse)

    def look(step: int, teacher) -> None:
        if step and ours(step - 1, teacher):
            raise _Reached

    with contextlib.suppress(_Reached):
        distill(
            model, [Lesson("text", conditions, ((1.0, anchors),))], frozen_anchor(model), settings,
            start=model.cross_attention(), key=("benchmark",), look=look,
        )  # fmt: skip
    print("reference")
    reference = _Watch(base, flagged, every=20)
    reference_schedule.train(
        model, conditions, anchors, steps=100_000, rate=spec.rate, ema=spec.ema, guidance=spec.guidance,
        after_step=lambda step, teacher: reference(step, dict(teacher.named_parameters())),
    )  # fmt: skip
    figures = {f"base flagged (n {PICTURES})": base}
    for level in LEVELS:
        for name, watch in (("ours", ours), ("reference", reference)):
            if level in watch.reached:
                seconds, steps, share = watch.reached[level]
                figures |= {
                    f"{name} to {level}: seconds": seconds,
                    f"{name} to {level}: gradient steps": steps,
                    f"{name} to {level}: flagged then": share,
                }
        if level in ours.reached and level in reference.reached:
            figures[f"reference over ours to {level}, seconds"] = reference.reached[level][0] / ours.reached[level][0]
    figures |= {"ours, seconds in all": ours.seconds, "reference, seconds in all": reference.seconds}
    for key, value in figures.items():
        print(f"{key:40} {value:.3f}")
    return figures


if __name__ == "__main__":
    main()
