"""What a stage is: its row of the graph, and the functions behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hfi_core.compute.memory import out_of_memory_as_user_error
from hfi_core.compute.shards import WHOLE, Shard
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress


@dataclass(frozen=True)
class StageContext:
    """Everything that a stage needs to compute one unit."""

    params: Params
    inputs: Mapping[str, Path]
    """Existing files and folders by the names that the stage's row of the graph gives them."""
    outputs: Mapping[str, Path] = field(default_factory=dict)
    """Where the stage writes, by name. A function that computes a shard writes to `work` only and needs none."""
    unit: str = ""
    """Name of the concept, the simulated crowd or the removal."""
    work: Path | None = None
    """Folder for checkpoints, which the caller keeps until the stage ends. None: the stage writes no checkpoints."""
    progress: Progress = no_progress
    shard: Shard = WHOLE
    """Which blocks to compute."""

    def require_work(self) -> Path:
        """Return the folder for checkpoints; ValueError if the caller gave none."""
        if self.work is None:
            raise ValueError("This function writes to the folder for checkpoints: give `work`.")
        return self.work


Result = TypeVar("Result", covariant=True)


class StageFunction(Protocol[Result]):
    """A stage's `run`, or one of the functions that compute shards of it.

    `run` writes each output whole or not at all, and returns the unit's figures.
    A shard function computes the blocks of its shard that `work` lacks, and returns nothing. Each block is written
    whole or not at all, and its content depends on the block alone. So shards may run in any number, on any machine
    that sees the files. When all are done, `run` finds every block in `work` and only assembles.
    """

    def __call__(self, context: StageContext) -> Result: ...


@dataclass(frozen=True)
class Stage:
    """A row of the graph: `params` are dotted keys, `inputs` and `outputs` are paths by the names the function uses."""

    name: str
    revision: int
    """To be raised when a change of the code changes the result."""
    function: str
    params: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    over: str | None = None
    """Dotted key of the mapping in params that has one entry per unit. None: the stage has one unit."""
    unless_empty: str | None = None
    """A section of params. If it is empty, the project has no such stage."""
    metrics: tuple[str, ...] = ()
    """Outputs, by name, that `dvc metrics` shows."""
    shards: tuple[str, ...] = ()
    """Import strings of the functions that compute shards, in order. Each needs all results of the one before it."""
    replicates: bool = False
    """Whether several processes can learn a unit together (`compute/data_parallel.py`). Only the first one's outputs
    count."""

    def units(self, params: Params) -> tuple[str, ...]:
        """Return the names of the stage's units. A stage without a mapping has one unit, named ''."""
        return tuple(self.items(params))

    def items(self, params: Params) -> Mapping[str, object]:
        """Return the value of each unit in the stage's mapping."""
        if self.over is None:
            return {"": None}
        value: Any = params
        for key in self.over.split("."):
            value = getattr(value, key)
        return value

    def load(self) -> StageFunction[dict[str, float]]:
        """Import the stage's function."""
        return _import_function(self.function)

    def load_shards(self) -> tuple[StageFunction[None], ...]:
        """Import the functions that compute shards, in order. Empty if the stage cannot be split."""
        return tuple(map(_import_function, self.shards))


def _import_function(reference: str) -> StageFunction[Any]:
    module, name = reference.split(":")
    function: StageFunction[Any] = getattr(import_module(module), name)

    @wraps(function)
    def with_memory_errors_explained(context: StageContext) -> Any:
        with out_of_memory_as_user_error(context.params.compute):
            return function(context)

    return with_memory_errors_explained
