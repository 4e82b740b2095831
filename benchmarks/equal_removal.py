"""What each removal keeps when it has taken equally much: SDD under the word, SDD under v*, and anchored, in one run.

Each learns at its own settings in params.yaml, longer if need be, and is looked at every 20 steps, from equal seeds.
For each level the first look is reported at which at most that part of the base's flagged broad pictures is flagged;
`low` and `high` are Wilson intervals of 95 %. One seed of training. Needs the tokens of a finished `hfi run`.
"""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from hfi_core.diffusion.compute import prepare
from hfi_core.diffusion.loading import load_model
from hfi_core.diffusion.sampling import Request, sample
from hfi_core.erasure import anchored, sdd
from hfi_core.erasure.material import ConceptMaterial
from hfi_core.erasure.methods import settings_of
from hfi_core.erasure.trainer import distill
from hfi_core.judges.registry import load_judge
from hfi_core.metrics.intervals import wilson_interval
from hfi_core.params import read_params
from hfi_core.seeding import picture_seed
from hfi_core.tokens import load_tokens

LEVELS = (0.75, 0.5, 0.25)
PICTURES = {"broad": 24, "unrelated": 16}
EVERY = 20
MOST_STEPS = 400


class _Reached(Exception):
    pass


@dataclass(frozen=True)
class Look:
    """Counts at one step: pictures flagged and kept of the broad ones, correct of the unrelated ones."""

    step: int
    flagged: int
    kept: int
    correct: int


def main() -> dict[str, float]:
    """Follow each removal down to the last level and print what it kept at each."""
    params = read_params(Path("params.yaml"))
    prepare(params.compute)
    model = load_model(params.model, params.compute)
    judge = load_judge(params.evaluate.judge, params.compute)
    material = [
        ConceptMaterial(name, concept, load_tokens(Path("tokens") / name), objectionable=list)
        for name, concept in params.concepts.items()
    ]
    requests = {
        suite: [
            Request(prompt, picture_seed("equal removal", suite, prompt, i))
            for prompt in params.evaluate.suites[suite].prompts
            for i in range(count)
        ]
        for suite, count in PICTURES.items()
    }

    def look(step: int, weights) -> Look:
        verdicts = {}
        for suite, asked in requests.items():
            drawn = [p for _, p in sample(model, asked, params.sampler, block=params.compute.block, weights=weights)]
            verdicts[suite] = judge.judge(judge.see(np.stack(drawn)), [request.prompt for request in asked])
        return Look(
            step, sum(v.flagged for v in verdicts["broad"]), sum(v.kept for v in verdicts["broad"]),
            sum(v.correct for v in verdicts["unrelated"]),
        )  # fmt: skip

    def follow(row: str) -> list[Look]:
        spec, looks = params.removals[row], []
        lessons, target = (
            (anchored.lessons(model, material, {}, spec.contrast, spec.preserve), anchored.frozen_anchor(model))
            if spec.method == "anchored"
            else (sdd.lessons(model, material, spec.condition), sdd.own_unconditional(model))
        )

        def watch(step: int, teacher) -> None:
            if step and step % EVERY == 0:
                looks.append(look(step, teacher))
                print(f"  {row}: {looks[-1]}", flush=True)
                if looks[-1].flagged <= LEVELS[-1] * base.flagged:
                    raise _Reached

        with contextlib.suppress(_Reached):
            distill(
                model, lessons, target, replace(settings_of(spec, params), steps=MOST_STEPS),
                start=model.cross_attention(), key=(params.seed, row), look=watch,
            )  # fmt: skip
        return looks

    print(describe())
    base = look(0, None)
    sizes = {"flagged": len(requests["broad"]), "kept": len(requests["broad"]), "correct": len(requests["unrelated"])}
    figures = {f"base {what} (n {n})": getattr(base, what) / n for what, n in sizes.items()}
    for row in ("sdd-text", "sdd-token", "anchored"):
        looks = follow(row)
        for level in LEVELS:
            at = next((one for one in looks if one.flagged <= level * base.flagged), None)
            if at is None:
                print(f"{row} never reached {level} of base in {MOST_STEPS} steps")
                continue
            figures[f"{row} at {level} of base: steps"] = at.step
            for what, n in sizes.items():
                share = wilson_interval(getattr(at, what), n, 0.95)
                named = {"": share.value, " low": share.low, " high": share.high}
                figures |= {f"{row} at {level} of base: {what}{end}": value for end, value in named.items()}
    for key, value in figures.items():
        print(f"{key:50} {value:.3f}")
    return figures


if __name__ == "__main__":
    main()
