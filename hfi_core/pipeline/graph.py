"""The one declaration of the stages; the flow, the command line, the tracking and `dvc.yaml` read it.

It holds import strings, so reading it costs no torch. `{unit}` is the name of a concept, a crowd or a removal, and
`{item}` what the mapping says of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hfi_core.compute.shards import WHOLE, Shard
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of, sha256_of_json
from hfi_core.params import Params
from hfi_core.pipeline.stage import Stage, StageContext
from hfi_core.progress import Progress, no_progress

_MODEL = ("seed", "compute", "model")
_SUITES = "evaluate.suites"
PEOPLE_FILE = "{evaluate.people.file}"
"""The input that a stage has only if params name it."""

STAGES: tuple[Stage, ...] = (
    Stage(
        name="generate",
        revision=2,
        function="hfi_core.stages.generate:run",
        over="candidates.drawn",
        params=(*_MODEL, "sampler", "concepts.{unit}.prompts", "candidates.drawn.{unit}"),
        inputs={},
        outputs={"candidates": "candidates/{unit}"},
        shards=("hfi_core.stages.generate:draw",),
    ),
    Stage(
        name="adopt",
        revision=1,
        function="hfi_core.stages.adopt:run",
        over="candidates.imported",
        params=("candidates.imported.{unit}",),
        inputs={"imported": "{item}"},
        outputs={"candidates": "candidates/{unit}"},
    ),
    Stage(
        name="simulate",
        revision=2,
        function="hfi_core.stages.simulate:run",
        over="feedback.simulated",
        params=("seed", "concepts", "feedback.simulated"),
        inputs={"candidates": "candidates"},
        outputs={"feedback": "feedback/simulated.jsonl"},
    ),
    Stage(
        name="ingest",
        revision=7,
        function="hfi_core.stages.ingest:run",
        over="concepts",
        params=(
            "seed", "concepts.{unit}.feedback", "feedback.store", "feedback.minimum", "feedback.labels",
            "feedback.agreement", "feedback.held_out_for_attacks", "feedback.held_out_for_judge",
        ),
        inputs={"feedback": "{feedback.file}", "candidates": "candidates/{unit}"},
        outputs={"labels": "labels/{unit}"},
    ),
    Stage(
        name="reward",
        revision=4,
        function="hfi_core.stages.reward:run",
        over="concepts",
        params=("seed", "compute", "clip", "concepts.{unit}.feedback", "reward"),
        inputs={"labels": "labels/{unit}", "candidates": "candidates/{unit}"},
        outputs={"reward": "reward/{unit}"},
    ),
    Stage(
        name="invert",
        revision=4,
        function="hfi_core.stages.invert:run",
        over="concepts",
        params=(*_MODEL, "sampler", "clip", "concepts.{unit}", "invert"),
        inputs={"reward": "reward/{unit}", "candidates": "candidates/{unit}"},
        outputs={"tokens": "tokens/{unit}"},
    ),
    Stage(
        name="distill",
        revision=5,
        function="hfi_core.stages.distill:run",
        over="removals",
        params=(*_MODEL, "sampler", "clip", "concepts", "invert", "removals.{unit}"),
        inputs={"tokens": "tokens", "reward": "reward", "candidates": "candidates"},
        outputs={"model": "models/{unit}"},
        replicates=True,
    ),
    Stage(
        name="attack",
        revision=6,
        function="hfi_core.stages.attack:run",
        over="removals",
        params=(*_MODEL, "clip", "sampler", "concepts", "attacks"),
        inputs={
            "model": "models/{unit}", "labels": "labels", "candidates": "candidates", "tokens": "tokens",
            "reward": "reward",
        },
        outputs={"attack": "attacks/{unit}"},
        unless_empty="attacks",
    ),
    Stage(
        name="evaluate",
        revision=5,
        function="hfi_core.stages.evaluate:run",
        over="removals",
        params=(
            *_MODEL, "clip", "sampler", "concepts", "attacks", "evaluate.judge", "evaluate.suites",
            "evaluate.clip_score_prefix",
        ),
        inputs={"model": "models/{unit}", "attack": "attacks/{unit}"},
        outputs={"evaluation": "evaluation/{unit}"},
        shards=("hfi_core.stages.evaluate:draw", "hfi_core.stages.evaluate:see"),
    ),
    Stage(
        name="compare",
        revision=11,
        function="hfi_core.stages.compare:run",
        params=(
            *_MODEL, "clip", "sampler", "concepts", "removals", "attacks", "evaluate", "release", "feedback.simulated",
        ),
        inputs={
            "evaluation": "evaluation", "labels": "labels", "reward": "reward", "tokens": "tokens", "models": "models",
            "people": PEOPLE_FILE,
        },
        outputs={
            "evaluation": "reports/evaluation.json",
            "metrics": "reports/metrics.json",
            "table": "reports/evaluation.csv",
            "plots": "reports/plots",
            "page": "reports/report.html",
        },
        metrics=("metrics",),
    ),
    Stage(
        name="package",
        revision=7,
        function="hfi_core.stages.package:run",
        params=(
            *_MODEL, "clip", "concepts", "sampler", "release.row", "release.model", "release.lora", "evaluate.judge",
            "evaluate.level", "evaluate.suites", "feedback.simulated",
        ),
        inputs={
            "model": "models/{release.row}", "tokens": "tokens", "evaluation": "reports/evaluation.json",
            "drawn": "evaluation",
        },
        outputs={"release": "release"},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """One stage for one unit, with its paths filled in."""

    stage: Stage
    unit: str
    inputs: Mapping[str, Path] = field(hash=False)
    outputs: Mapping[str, Path] = field(hash=False)
    prompt_files: tuple[Path, ...] = ()
    """Files whose prompts are among the unit's params. DVC tracks them; they are not inputs of the function."""

    @property
    def address(self) -> str:
        """DVC's name: `generate@badge`, `compare`."""
        return f"{self.stage.name}@{self.unit}" if self.unit else self.stage.name

    def context(
        self,
        params: Params,
        *,
        outputs: Mapping[str, Path] | None = None,
        work: Path | None = None,
        progress: Progress = no_progress,
        shard: Shard = WHOLE,
    ) -> StageContext:
        """Return what the stage's function needs to compute this unit; `outputs` are its own unless given."""
        outputs = self.outputs if outputs is None else outputs
        return StageContext(params, self.inputs, outputs, self.unit, work, progress, shard)


def stages_of(params: Params) -> tuple[Stage, ...]:
    """Return the stages of a project in order.

    Without attacks none attacks, and none reads what attacks make. If people have not judged, none reads judgements.
    Where a concept's candidates come from several places, `adopt` joins them for all concepts.
    """
    absent = [stage for stage in STAGES if stage.unless_empty and not getattr(params, stage.unless_empty)]
    missing = {path for stage in absent for path in stage.outputs.values()}
    if params.evaluate.people is None:
        missing.add(PEOPLE_FILE)
    stages = tuple(
        replace(stage, inputs={name: path for name, path in stage.inputs.items() if path not in missing})
        for stage in STAGES
        if stage not in absent
    )
    return tuple(_join(stage, params) for stage in stages) if params.candidates.are_joined else stages


def _join(stage: Stage, params: Params) -> Stage:
    """Return a stage of a project whose candidates are joined."""
    candidates = params.candidates
    if stage.name == "generate":
        return replace(stage, outputs={"candidates": "drawn/{unit}"})
    if stage.name == "adopt":
        # DVC's templates cannot give each unit its own number of inputs, so every unit depends on all sets.
        inputs = {"drawn": "drawn"} if candidates.drawn else {}
        inputs |= {path: path for concept in candidates.imported for path in candidates.sets_of(concept)}
        return replace(stage, over="concepts", params=("candidates",), inputs=inputs)
    if stage.name == "compare":
        return replace(stage, inputs={**stage.inputs, "candidates": "candidates"})
    return stage


def units_of(params: Params, root: Path = Path()) -> Iterator[Unit]:
    """Yield every unit of the graph, after the units that make its inputs."""
    values = {"{feedback.file}": params.feedback.file, "{release.row}": params.release.row}
    if params.evaluate.people is not None:
        values[PEOPLE_FILE] = params.evaluate.people.file

    def resolve(path: str, unit: str, item: object) -> Path:
        for key, value in (values | {"{unit}": unit, "{item}": str(item)}).items():
            path = path.replace(key, value)
        return root / path

    for stage in stages_of(params):
        for unit, item in stage.items(params).items():
            yield Unit(
                stage,
                unit,
                {name: resolve(path, unit, item) for name, path in stage.inputs.items()},
                {name: resolve(path, unit, item) for name, path in stage.outputs.items()},
                tuple(root / file for file in prompt_files(stage, params).values()),
            )


def prompt_files(stage: Stage, params: Params) -> dict[str, str]:
    """Return the files of prompts that a stage depends on, by the dotted key that names each."""
    named = {f"{_SUITES}.{name}.file": suite.file for name, suite in params.evaluate.suites.items()}
    named |= {f"attacks.{name}.file": getattr(attack, "file", None) for name, attack in params.attacks.items()}
    return {
        name: file for name, file in named.items() if file and any(name.startswith(f"{key}.") for key in stage.params)
    }


def params_of(unit: Unit, params: Params) -> dict[str, object]:
    """Return the values of the params that a unit reads, by dotted key, as plain JSON values."""
    every, found = params.model_dump(mode="json"), {}
    for template in unit.stage.params:
        key = template.replace("{unit}", unit.unit)
        value: object = every
        for part in key.split("."):
            value = value[part]  # type: ignore[index]
        found[key] = value
    return found


WORK_KEY = 16
"""Characters of a work key."""


def work_key(unit: Unit, params: Params) -> str:
    """Return the key of a unit's checkpoints: a digest of everything that its result depends on."""
    digests = {name: sha256_of(path) for name, path in unit.inputs.items()}
    return sha256_of_json([unit.address, unit.stage.revision, params_of(unit, params), digests])[:WORK_KEY]


def judgement_readers(params: Params, units: Iterable[Unit]) -> list[Unit]:
    """Return the units that read judgements of the live store, one per concept. People judge what earlier units make.

    The list is empty if the project has no live store, or if the last unit is one of them: `--until ingest` takes the
    judgements that exist.
    """
    file, units = Path(params.feedback.file), list(units)
    readers = [unit for unit in units if params.feedback.store and file in unit.inputs.values()]
    return [] if units[-1] in readers else readers


def units_until(params: Params, until: str | None) -> list[Unit]:
    """Return the units of the graph in order, up to and including the stage `until`.

    Raises UserError if there is no such stage.
    """
    units = list(units_of(params))
    if until is None:
        return units
    names = list(dict.fromkeys(unit.stage.name for unit in units))
    if until not in names:
        raise UserError(f"There is no stage {until!r}; the stages are {', '.join(names)}.")
    return [unit for unit in units if names.index(unit.stage.name) <= names.index(until)]


def downstream(units: Iterable[Unit], changed: Iterable[str]) -> list[Unit]:
    """Return the units at these addresses, and all units that depend on them, in order."""
    touched = set(changed)
    made: list[Path] = []
    affected: list[Unit] = []
    for unit in units:
        if unit.address in touched or any(paths_overlap(a, b) for a in unit.inputs.values() for b in made):
            affected.append(unit)
            made += unit.outputs.values()
    return affected


def paths_overlap(one: Path, other: Path) -> bool:
    """Return whether two paths are equal, or one lies below the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def stages_making(path: Path) -> Iterator[str]:
    """Yield the names of the stages whose outputs overlap a path."""
    for stage in STAGES:
        for output in stage.outputs.values():
            fixed = Path(output.split("{")[0])
            if fixed != Path() and paths_overlap(path, fixed):
                yield stage.name


def params_digest(params: Params) -> str:
    """Return the digest of the whole of `params.yaml` by meaning."""
    return sha256_of_json(params.model_dump(mode="json"))


def pipeline_key(params: Params, revision: str) -> str:
    """Return the key that ties together the runs of one pipeline: of its params and its git commit."""
    return sha256_of_json([params_digest(params), revision])[:WORK_KEY]
