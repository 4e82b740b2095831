"""What each removal keeps when it has taken equally much: SDD under the word, SDD under v*, and anchored, in one run.

Each learns at its own settings in params.yaml, longer if need be. Every 10 steps of SDD and every 2 of anchored, which
needs few, 168 broad pictures are watched; at the first look at which at most a level of the base's flagged ones is
left, other pictures are drawn, at seeds equal for all rows and never watched, and those are what is reported. `low` and
`high`: Wilson intervals of 95 % over pictures. One seed of training. Needs the tokens of a finished `hfi run`.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks import machine
from benchmarks.judging import verdicts
from benchmarks.stopping import distill_until
from hfi_core.compute.device import prepare
from hfi_core.compute.seeding import picture_seed
from hfi_core.erasure import anchored, sdd
from hfi_core.erasure.methods import roll_outs, settings_of
from hfi_core.erasure.targets import ConceptMaterial
from hfi_core.inversion.tokens import load_tokens
from hfi_core.judges.base import Verdict, load_judge
from hfi_core.metrics.intervals import Interval, wilson_interval
from hfi_core.models.diffusion.loading import load_model
from hfi_core.models.diffusion.sampling import Request

LEVELS = (0.75, 0.5, 0.25)
"""Parts of the base's flagged broad pictures that are left."""
WATCHED = 24
"""Broad pictures a prompt at every look."""
FIGURES = ("flagged@broad", "kept@broad", "kept@neighbours", "correct@unrelated")
REPORTED = {"broad": 44, "neighbours": 16, "unrelated": 16}
"""Pictures a prompt that figures are of, by suite."""
EVERY = {"sdd": 10, "anchored": 2}
"""Gradient steps from look to look, by method."""
MOST_STEPS = 400


def main() -> dict[str, float]:
    """Follow each removal down to the last level and print what it kept at each."""
    params = machine.params()
    prepare(params.compute)
    model = load_model(params.model, params.compute)
    judge = load_judge(params.evaluate.judge, params.compute)
    material = [
        ConceptMaterial(name, concept, load_tokens(Path("tokens") / name), objectionable=list)
        for name, concept in params.concepts.items()
    ]

    def draw(purpose: str, suite: str, count: int, weights) -> list[Verdict]:
        asked = [
            Request(prompt, picture_seed("equal removal", purpose, suite, prompt, i))
            for prompt in params.evaluate.suites[suite].prompts
            for i in range(count)
        ]
        return verdicts(model, judge, params, asked, weights)

    def watched(weights) -> int:
        return sum(verdict.flagged for verdict in draw("watched", "broad", WATCHED, weights))

    def reported(weights) -> dict[str, Interval]:
        told = {suite: draw("reported", suite, count, weights) for suite, count in REPORTED.items()}
        shares = {}
        for figure in FIGURES:
            what, _, suite = figure.partition("@")
            hits = sum(getattr(verdict, what) for verdict in told[suite])
            shares[figure] = wilson_interval(hits, len(told[suite]), 0.95)
        return shares

    figures: dict[str, float] = {}

    def note(title: str, intervals: dict[str, Interval]) -> None:
        for figure, share in intervals.items():
            named = {"": share.value, " low": share.low, " high": share.high}
            figures.update({f"{title}: {figure}{end}": value for end, value in named.items()})
        print(
            f"  {title}: " + ", ".join(f"{figure} {share.value:.3f}" for figure, share in intervals.items()), flush=True
        )

    def follow(row: str) -> None:
        spec, left = params.removals[row], list(LEVELS)
        lessons, target = (
            (anchored.lessons(model, material, {}, spec.contrast, spec.preserve), anchored.frozen_anchor(model))
            if spec.method == "anchored"
            else (sdd.lessons(model, material, spec.condition), sdd.own_unconditional(model))
        )

        def reached(step: int, teacher) -> bool:
            if step % EVERY[spec.method]:
                return False
            flagged = watched(teacher)
            print(f"  {row}, step {step}: {flagged} flagged", flush=True)
            passed = [level for level in left if flagged <= level * base]
            if not passed:
                return False
            intervals = reported(teacher)
            for level in passed:
                figures[f"{row} at {level} of base: steps"] = step
                note(f"{row} at {level} of base", intervals)
                left.remove(level)
            return not left

        settings = replace(settings_of(spec), steps=MOST_STEPS)
        rollouts = roll_outs(model, lessons, spec, params, (params.seed, row))
        distill_until(reached, model, rollouts, target, settings)
        for level in left:
            print(f"{row} never reached {level} of base in {MOST_STEPS} steps")

    print(machine.describe())
    base = watched(None)
    print(f"  base: {base} flagged of the watched ones", flush=True)
    note("base", reported(None))
    for row in ("sdd-text", "sdd-token", "anchored"):
        follow(row)
    for key, value in figures.items():
        print(f"{key:58} {value:.3f}")
    return figures


if __name__ == "__main__":
    main()
