"""The one declaration of the stages; the flow, the command line, the tracking and `dvc.yaml` read it.

It holds import strings, so reading it costs no torch. `{unit}` is the name of a concept, a crowd or a removal, and
`{item}` what the mapping says of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hfi_core.compute.memory import with_short_memory_named
from hfi_core.io.atomic import sha256_of, sha256_of_json
from hfi_core.params import Params

Progress = Callable[[int, int, str], None]
"""`progress(done, total, what)`: called often, returns at once."""


def silent(done: int, total: int, what: str) -> None:
    """Report progress to nobody."""


class Run(Protocol):
    """What every stage module calls `run`.

    `unit` names the concept, crowd or removal; `work` is a folder for checkpoints, kept by the caller until the
    stage ends (None: none are written). Writes each output whole or not at all and returns its figures.
    """

    def __call__(
        self,
        params: Params,
        inputs: Mapping[str, Path],
        outputs: Mapping[str, Path],
        *,
        unit: str = "",
        work: Path | None = None,
        progress: Progress = silent,
    ) -> dict[str, float]: ...


Block = TypeVar("Block")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of a stage's blocks: every `count`-th, from number `index` on."""

    index: int = 0
    count: int = 1

    def of(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """The shard's own blocks."""
        return blocks[self.index :: self.count]


WHOLE = Shard()


class Fill(Protocol):
    """What a stage that can be split declares: computes the shard's blocks that `work` lacks, and writes nothing else.

    Every block is written whole or not at all, and what it holds depends on the block alone. So shards may run in any
    number, anywhere that sees the files; when all are done, `run` finds every block in `work` and only assembles.
    """

    def __call__(
        self,
        params: Params,
        inputs: Mapping[str, Path],
        work: Path,
        *,
        unit: str = "",
        shard: Shard = WHOLE,
        progress: Progress = silent,
    ) -> None: ...


@dataclass(frozen=True)
class Stage:
    """A row of the graph: `params` are dotted keys, `inputs` and `outputs` paths by the name the function uses."""

    name: str
    revision: int
    """Raised when the code's result changes."""
    function: str
    params: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    over: str | None = None
    """Dotted key of the mapping in params with one unit a name."""
    metrics: tuple[str, ...] = ()
    """Outputs, by name, that `dvc metrics` shows."""
    shards: tuple[str, ...] = ()
    """Import strings of the functions (`Fill`) that can be split; each needs what the one before it wrote, whole."""
    replicates: bool = False
    """Whether processes can learn a unit together (`hfi_core.replicas`); only the first one's outputs count."""

    def units(self, params: Params) -> tuple[str, ...]:
        """Names of the stage's units under these params; a stage without a mapping has the one unit ''."""
        return tuple(self.items(params))

    def items(self, params: Params) -> Mapping[str, object]:
        """What the stage's mapping says of each unit."""
        if self.over is None:
            return {"": None}
        value: Any = params
        for key in self.over.split("."):
            value = getattr(value, key)
        return value

    def load(self) -> Run:
        """Import the stage's function."""
        return _imported(self.function)

    def load_shards(self) -> tuple[Fill, ...]:
        """Import the functions that can be split, in order; none where the stage cannot."""
        return tuple(map(_imported, self.shards))


def _imported(function: str) -> Any:
    module, name = function.split(":")
    return with_short_memory_named(getattr(import_module(module), name))


_MODEL = ("seed", "compute", "model")

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
        revision=3,
        function="hfi_core.stages.ingest:run",
        over="concepts",
        params=(
            "seed", "concepts.{unit}.feedback", "feedback.store", "feedback.minimum", "feedback.labels",
            "feedback.agreement", "attack.held_out",
        ),
        inputs={"feedback": "{feedback.file}", "candidates": "candidates/{unit}"},
        outputs={"labels": "labels/{unit}"},
    ),
    Stage(
        name="reward",
        revision=2,
        function="hfi_core.stages.reward:run",
        over="concepts",
        params=(
            "seed", "compute", "clip", "concepts.{unit}.feedback", "reward", "evaluate.resamples", "evaluate.level",
        ),
        inputs={"labels": "labels/{unit}", "candidates": "candidates/{unit}"},
        outputs={"reward": "reward/{unit}"},
    ),
    Stage(
        name="invert",
        revision=3,
        function="hfi_core.stages.invert:run",
        over="concepts",
        params=(*_MODEL, "sampler", "clip", "concepts.{unit}", "invert"),
        inputs={"reward": "reward/{unit}", "candidates": "candidates/{unit}"},
        outputs={"tokens": "tokens/{unit}"},
    ),
    Stage(
        name="distill",
        revision=3,
        function="hfi_core.stages.distill:run",
        over="removals",
        params=(*_MODEL, "sampler", "concepts", "invert", "removals.{unit}"),
        inputs={"tokens": "tokens", "reward": "reward", "candidates": "candidates"},
        outputs={"model": "models/{unit}"},
        replicates=True,
    ),
    Stage(
        name="attack",
        revision=4,
        function="hfi_core.stages.attack:run",
        over="removals",
        params=(*_MODEL, "concepts", "attack"),
        inputs={"model": "models/{unit}", "labels": "labels", "candidates": "candidates"},
        outputs={"attack": "attacks/{unit}"},
    ),
    Stage(
        name="evaluate",
        revision=3,
        function="hfi_core.stages.evaluate:run",
        over="removals",
        params=(
            *_MODEL, "clip", "sampler", "concepts", "attack.attackers", "evaluate.judge", "evaluate.suites",
            "evaluate.reinverted",
        ),
        inputs={"model": "models/{unit}", "attack": "attacks/{unit}"},
        outputs={"evaluation": "evaluation/{unit}"},
        shards=("hfi_core.stages.evaluate:draw", "hfi_core.stages.evaluate:look"),
    ),
    Stage(
        name="compare",
        revision=5,
        function="hfi_core.stages.compare:run",
        params=(
            *_MODEL, "clip", "sampler", "concepts", "removals", "attack", "evaluate", "release", "feedback.simulated",
        ),
        inputs={
            "evaluation": "evaluation", "labels": "labels", "reward": "reward", "tokens": "tokens", "models": "models",
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
        revision=4,
        function="hfi_core.stages.package:run",
        params=(
            *_MODEL, "concepts", "sampler", "release.row", "release.model", "release.lora", "evaluate.judge",
            "evaluate.level", "evaluate.suites", "feedback.simulated",
        ),
        inputs={
            "model": "models/{release.row}", "tokens": "tokens", "evaluation": "reports/evaluation.json",
            "drawn": "evaluation",
        },
        outputs={"release": "release"},
    ),
)  # fmt: skip


def stage_named(name: str) -> Stage:
    """The stage of that name; KeyError if there is none."""
    return {stage.name: stage for stage in STAGES}[name]


@dataclass(frozen=True)
class Unit:
    """One stage for one unit, with its paths filled in."""

    stage: Stage
    unit: str
    inputs: Mapping[str, Path] = field(hash=False)
    outputs: Mapping[str, Path] = field(hash=False)

    @property
    def address(self) -> str:
        """DVC's name: `generate@badge`, `compare`."""
        return f"{self.stage.name}@{self.unit}" if self.unit else self.stage.name


def units_of(params: Params, root: Path = Path()) -> Iterator[Unit]:
    """Every unit of the graph in an order in which each one's inputs come before it."""
    values = {"{feedback.file}": params.feedback.file, "{release.row}": params.release.row}

    def place(path: str, unit: str, item: object) -> Path:
        for key, value in (values | {"{unit}": unit, "{item}": str(item)}).items():
            path = path.replace(key, value)
        return root / path

    for stage in STAGES:
        for unit, item in stage.items(params).items():
            yield Unit(
                stage,
                unit,
                {name: place(path, unit, item) for name, path in stage.inputs.items()},
                {name: place(path, unit, item) for name, path in stage.outputs.items()},
            )


def params_of(unit: Unit, params: Params) -> dict[str, object]:
    """The values of the params that a unit reads, by dotted key, as plain JSON values."""
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
    """Digest of everything that a unit's result rests on: the key of its checkpoints."""
    digests = {name: sha256_of(path) for name, path in unit.inputs.items()}
    return sha256_of_json([unit.address, unit.stage.revision, params_of(unit, params), digests])[:WORK_KEY]
