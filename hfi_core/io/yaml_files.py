"""Read a YAML file that a user wrote: small, plain, without repeated keys."""

from pathlib import Path
from typing import Any

import yaml

from hfi_core.errors import UserError

_MAX_BYTES = 1024 * 1024
_MAX_ALIASES = 16


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that refuses repeated keys and many aliases.

    A few lines of nested aliases can expand to gigabytes.
    """

    aliases = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > _MAX_ALIASES:
                mark = self.peek_event().start_mark
                raise yaml.MarkedYAMLError(problem=f"more than {_MAX_ALIASES} aliases", problem_mark=mark)
        return super().compose_node(parent, index)

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
