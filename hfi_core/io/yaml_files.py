"""YAML files that a user hands over: small, plain, without surprises."""

from pathlib import Path
from typing import Any

import yaml

from hfi_core.errors import UserError

_MOST_BYTES = 1024 * 1024
_MOST_ALIASES = 16


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that refuses repeated keys and many aliases (nested, a few lines of them stand for gigabytes)."""

    aliases = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > _MOST_ALIASES:
                mark = self.peek_event().start_mark
                raise yaml.MarkedYAMLError(problem=f"more than {_MOST_ALIASES} aliases", problem_mark=mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is there twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return node


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises UserError if it is missing, too large, torn, not UTF-8, or no plain YAML.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UserError(f"{path} is larger than 1 MiB, which no settings are.")
        return yaml.load(content.decode("utf-8"), _PlainLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as YAML: {error}") from error
    except RecursionError as error:
        raise UserError(f"{path} cannot be read as YAML: it is nested too deeply.") from error
