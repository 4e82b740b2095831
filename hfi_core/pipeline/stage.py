"""What a stage is: its row of the graph, the functions behind it, and the shares of its blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hfi_core.compute.memory import with_memory_errors_explained
from hfi_core.params import Params
from hfi_core.progress import Progress, no_progress


class StageFunction(Protocol):
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
        progress: Progress = no_progress,
    ) -> dict[str, float]: ...


Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of a stage's blocks: every `count`-th, from number `index` on."""

    index: int = 0
    count: int = 1

    def of(self, blocks: Sequence[Item]) -> Sequence[Item]:
        """The shard's own blocks."""
        return blocks[self.index :: self.count]


WHOLE_STAGE = Shard()


class ShardFunction(Protocol):
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
        shard: Shard = WHOLE_STAGE,
        progress: Progress = no_progress,
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
    """Import strings of the `ShardFunction`s, in order; each needs the whole output of the one before it."""
    replicates: bool = False
    """Whether processes can learn a unit together (`compute/data_parallel.py`); only the first one's outputs count."""

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

    def load(self) -> StageFunction:
        """Import the stage's function."""
        return _imported(self.function)

    def load_shards(self) -> tuple[ShardFunction, ...]:
        """Import the functions that can be split, in order; none where the stage cannot."""
        return tuple(map(_imported, self.shards))


def _imported(function: str) -> Any:
    module, name = function.split(":")
    return with_memory_errors_explained(getattr(import_module(module), name))


def unfinished_blocks(
    items: Sequence[Item], block: int, is_done: Callable[[Item], bool], shard: Shard = WHOLE_STAGE
) -> list[Item]:
    """Return the items of the shard's blocks that are not wholly done: every item keeps its place in its block."""
    blocks = [list(items[start : start + block]) for start in range(0, len(items), block)]
    return [item for part in shard.of(blocks) if not all(map(is_done, part)) for item in part]
