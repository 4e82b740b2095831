"""Map the columns of a table, or the keys of an object, to the fields of a judgement.

What `--column` says comes first. A column whose name is a field's counts only where it does not contradict that.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hfi_core.errors import UserError
from hfi_core.feedback.formats.row import FIELDS, RATING, ReadOptions

_KNOWN = (*FIELDS, RATING)
_OWN_FIELDS = {"id", "annotator", "concept", "kind"}
"""A header with all of these is our own. In other files, a column `id` only numbers the rows."""
_BINARY_FIELDS = {"answer", RATING, "picture", "sha256"}
_RANKING_FIELDS = {"groups", "not_applicable", "digests"}


def require_known_fields(options: ReadOptions) -> None:
    """Raise UserError if the options map a field that does not exist."""
    for name, column in options.columns.items():
        if name not in _KNOWN:
            raise UserError(f"--column {name}={column}: there is no field {name!r}; there are {', '.join(_KNOWN)}.")


def map_names(names: Iterable[str], options: ReadOptions) -> dict[str, str]:
    """Return the column of each field. Raises UserError if several columns may be one field."""
    explicit = options.columns
    usual: dict[str, str] = {}
    used = set(explicit.values())
    for column in names:
        name = column.casefold()
        if name not in _KNOWN or name in explicit or column in used:
            continue
        if name in usual:
            raise UserError(
                f"{usual[name]!r} and {column!r} may both be the field {name!r}. "
                f"To fix this: choose one with --column {name}=COLUMN."
            )
        usual[name] = column
    if not usual.keys() >= _OWN_FIELDS:
        usual.pop("id", None)
    if explicit.keys() & _RANKING_FIELDS:
        contradicting = _BINARY_FIELDS
    elif explicit.keys() & _BINARY_FIELDS:
        contradicting = _RANKING_FIELDS | ({"answer", RATING} if explicit.keys() & {"answer", RATING} else set())
    else:
        contradicting = set()
        if {"answer", RATING} <= usual.keys():
            raise UserError(
                f"There are an answer, {usual['answer']!r}, and a rating, {usual[RATING]!r}. "
                "To fix this: choose one with --column answer=COLUMN or --column rating=COLUMN."
            )
    return {name: column for name, column in usual.items() if name not in contradicting} | dict(explicit)


class MappedKeys:
    """The keys that `--column` names, and which of them occurred in a file."""

    def __init__(self, options: ReadOptions):
        self._unseen = dict(options.columns)
        self._has_rows = False

    def record(self, *objects: Any) -> None:
        """Record the keys of an item's objects."""
        self._has_rows = True
        for name, key in list(self._unseen.items()):
            if any(isinstance(item, Mapping) and has_key(item, key) for item in objects):
                del self._unseen[name]

    def require_all(self) -> None:
        """Raise UserError if no item had a key that the options name."""
        if self._has_rows and self._unseen:
            name, key = next(iter(self._unseen.items()))
            raise UserError(f"--column {name}={key}: nothing in the file has such a key.")


def has_key(item: Mapping[str, Any], path: str) -> bool:
    """Return whether an object has a key, or a path of keys such as `label-metadata.class-name`."""
    return _find(item, path) is not _MISSING


def get_value(item: Mapping[str, Any], path: str) -> Any:
    """Return the value of a key or of a path of keys; None if there is none."""
    value = _find(item, path)
    return None if value is _MISSING else value


_MISSING = object()


def _find(item: Mapping[str, Any], path: str) -> Any:
    if path in item:
        return item[path]
    start = path.find(".")
    while start != -1:
        inner = item.get(path[:start])
        if isinstance(inner, Mapping) and (value := _find(inner, path[start + 1 :])) is not _MISSING:
            return value
        start = path.find(".", start + 1)
    return _MISSING
