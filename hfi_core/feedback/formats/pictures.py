"""Finds the picture that a file means: by manifest id, by digest, or by file name where that is unique."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.formats.answers import format_value

_DIGEST = re.compile(r"^(?:sha256:)?([0-9a-f]{64})$")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(.+)$")
"""Label Studio puts eight hexadecimal digits before the name of an uploaded file."""


class PictureIndex:
    """The candidates of every concept, by all that a file may call them."""

    def __init__(self, candidates: Mapping[str, Iterable[Candidate]]):
        self._concepts = {concept: _Named(rows) for concept, rows in candidates.items()}

    def find(self, concept: str, name: str | None, sha256: str | None = None) -> Candidate:
        """The candidate; ValueError with the reason if there is none, several, or another one by its digest."""
        named = self._concepts.get(concept)
        if named is None:
            raise ValueError(f"there are no candidates of the concept {concept!r} yet")
        found = named.by_digest(sha256) if name is None else named.by_name(name)
        if sha256 is not None and sha256 not in _digests(found):
            raise ValueError(f"picture {found.id!r} has another sha256 in the manifest: another picture was judged")
        return found


class _Named:
    def __init__(self, rows: Iterable[Candidate]):
        self._ids: dict[str, Candidate] = {}
        self._by_digest: dict[str, list[Candidate]] = defaultdict(list)
        self._by_file: dict[str, list[Candidate]] = defaultdict(list)
        for row in rows:
            self._ids[row.id] = row
            for digest in _digests(row):
                self._by_digest[digest].append(row)
            names = {f"{row.id}.png"}
            if row.original is not None:
                names |= {row.original.file, row.original.file.rsplit("/", 1)[-1]}
            for name in names:
                self._by_file[name].append(row)

    def by_digest(self, digest: str | None) -> Candidate:
        return _only(self._by_digest.get(digest or "", []), f"the digest {format_value(digest)}")

    def by_name(self, name: str) -> Candidate:
        if name in self._ids:
            return self._ids[name]
        if match := _DIGEST.match(name):
            return self.by_digest(match[1])
        for file in _file_names(name):
            if found := self._by_file.get(file):
                return _only(found, f"the name {format_value(file)}")
        raise ValueError(f"the manifest has no picture {format_value(name)}")


def _digests(row: Candidate) -> set[str]:
    return {row.sha256} | ({row.original.sha256} if row.original is not None else set())


def _only(found: list[Candidate], what: str) -> Candidate:
    if not found:
        raise ValueError(f"the manifest has no picture with {what}")
    if len(found) > 1:
        raise ValueError(f"{what} is that of {len(found)} pictures, {found[0].id!r} and others: use their ids")
    return found[0]


def _file_names(name: str) -> Iterable[str]:
    """What may be the file's name in a path, an address, or Label Studio's address of a local file."""
    if name.startswith("data:"):
        return
    yield name
    try:
        address = urlsplit(name)
        local = parse_qs(address.query).get("d")
    except ValueError:
        return
    path = local[0] if local else unquote(address.path)
    last = path.replace("\\", "/").rsplit("/", 1)[-1]
    yield from (path, last)
    if match := _UPLOADED.match(last):
        yield match[1]
