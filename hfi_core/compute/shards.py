"""Shards: how several processes share one computation, block by block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of a computation's blocks: every `count`-th block, from number `index` on."""

    index: int = 0
    count: int = 1

    def of(self, blocks: Sequence[Item]) -> Sequence[Item]:
        """Return the shard's own blocks."""
        return blocks[self.index :: self.count]


WHOLE = Shard()
"""The one shard of a computation that is not split."""


def unfinished_blocks(
    items: Sequence[Item], block: int, is_done: Callable[[Item], bool], shard: Shard = WHOLE
) -> list[Item]:
    """Return the items of the shard's unfinished blocks. A block with one missing item is returned whole.

    So every item keeps its position in its block, and its bytes do not depend on what was finished before.
    """
    blocks = [list(items[start : start + block]) for start in range(0, len(items), block)]
    return [item for part in shard.of(blocks) if not all(map(is_done, part)) for item in part]
