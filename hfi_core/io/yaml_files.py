"""Read a YAML file that a user wrote: small, plain, without repeated keys."""

from pathlib import Path
from typing import Any

import yaml

from hfi_core.errors import UserError

_MAX_BYTES = 1024 * 1024
_MAX_EXPANDED = 20_000
"""Values that all aliases together may stand for."""


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that refuses repeated keys and aliases that stand for too much.

    A few lines of nested aliases can expand to gigabytes.
    """

    def __init__(self, stream):
        super().__init__(stream)
        self._sizes = {}  # of each node, by its id
        self._expanded = 0

    def compose_node(self, parent, index):
        mark = self.peek_event().start_mark if self.check_event(yaml.AliasEvent) else None
        node = super().compose_node(parent, index)
        if mark is None:
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            children = (child for part in parts for child in (part if isinstance(part, tuple) else (part,)))
            self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in children)
        elif id(node) not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias stands for what it is in", problem_mark=mark)
        else:
            self._expanded += self._sizes[id(node)]
            if self._expanded > _MAX_EXPANDED:
                problem = f"aliases stand for more than {_MAX_EXPANDED} values"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        return node

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} occurs twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return node


def read_yaml(path: Path) -> Any:
    """Read the content of a YAML file.

    Raises UserError if the file is missing, too large, not UTF-8, or not plain YAML.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise UserError(f"{path} is larger than 1 MiB, which is too large for a settings file.")
        return yaml.load(content.decode("utf-8"), _PlainLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as YAML: {error}") from error
    except RecursionError as error:
        raise UserError(f"{path} cannot be read as YAML: it is nested too deeply.") from error
