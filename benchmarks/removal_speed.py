"""Seconds until half of the flagged pictures are gone: the reference schedule against ours, in one run.

Both learn the same lesson (the text concept mapped onto u*) with the same rate, EMA and clipping on the embedded model;
the time spent on looking whether the level is reached is taken off. Needs the tokens of a finished `hfi run`.
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

LEVEL = 0.5
PICTURES = 64
MOST_SECONDS = 1800


class _Reached(Exception):
    pass


class _Watch:
    """Counts training seconds and says when the level is reached."""

    def __init__(self, flagged, every: int):
        self._flagged, self._every = flagged, every
        self._bar = LEVEL * flagged(None)
        self.seconds, self._since = 0.0, time.perf_counter()
        self.steps, self.share = 0, 0.0

    def __call__(self, step: int, weights) -> bool:
        self.steps = step + 1
        if (step + 1) % self._every:
            return False
        self.seconds += time.perf_counter() - self._since
        self.share = self._flagged(weights)
        print(f"  step {step + 1}: flagged {self.share:.2f} after {self.seconds:.1f} s", flush=True)
        self._since = time.perf_counter()
        return self.share <= self._bar or self.seconds > MOST_SECONDS


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
    print("ours")
    settings = Settings(
        steps=100_000, batch=spec.batch, rate=spec.rate, ema=spec.ema, guidance=spec.guidance,
        scheduler=params.sampler.scheduler, rollout_steps=spec.rollout_steps, rollouts=spec.rollouts, reuse=spec.reuse,
    )  # fmt: skip
    ours = _Watch(flagged, every=spec.reuse)

    def look(step: int, teacher) -> None:
        if step and ours(step - 1, teacher):
            raise _Reached

    with contextlib.suppress(_Reached):
        distill(
            model, [Lesson("text", conditions, ((1.0, anchors),))], frozen_anchor(model), settings,
            start=model.cross_attention(), key=("benchmark",), look=look,
        )  # fmt: skip
    print("reference")
    reference = _Watch(flagged, every=20)
    reference_schedule.train(
        model, conditions, anchors, steps=100_000, rate=spec.rate, ema=spec.ema, guidance=spec.guidance,
        after_step=lambda step, teacher: reference(step, dict(teacher.named_parameters())),
    )  # fmt: skip
    figures = {
        "ours_seconds": ours.seconds, "ours_steps": ours.steps, "ours_flagged": ours.share,
        "reference_seconds": reference.seconds, "reference_steps": reference.steps,
        "reference_flagged": reference.share, "ratio": reference.seconds / ours.seconds,
    }  # fmt: skip
    for key, value in figures.items():
        print(f"{key:20} {value:.3f}")
    return figures


if __name__ == "__main__":
    main()
