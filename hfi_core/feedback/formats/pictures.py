"""Find the candidate that a file refers to: by manifest id, by digest, or by file name if that is unique."""

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
    """The candidates of every concept, by all names that a file may use for them."""

    def __init__(self, candidates: Mapping[str, Iterable[Candidate]]):
        self._concepts = {concept: _ConceptPictures(rows) for concept, rows in candidates.items()}

    def find(self, concept: str, name: str | None, sha256: str | None = None) -> Candidate:
        """Return the candidate. Raises ValueError if there is none, several, or its digest is another one."""
        index = self._concepts.get(concept)
        if index is None:
            raise ValueError(f"there are no candidates of the concept {concept!r} yet")
        candidate = index.by_digest(sha256) if name is None else index.by_name(name)
        if sha256 is not None and sha256 not in _digests(candidate):
            raise ValueError(f"picture {candidate.id!r} has another sha256 in the manifest: another picture was judged")
        return candidate


class _ConceptPictures:
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
        return _require_single(self._by_digest.get(digest or "", []), f"the digest {format_value(digest)}")

    def by_name(self, name: str) -> Candidate:
        if name in self._ids:
            return self._ids[name]
        if match := _DIGEST.match(name):
            return self.by_digest(match[1])
        for file in _file_names(name):
            if matches := self._by_file.get(file):
                return _require_single(matches, f"the name {format_value(file)}")
        raise ValueError(f"the manifest has no picture {format_value(name)}")


def _digests(row: Candidate) -> set[str]:
    return {row.sha256} | ({row.original.sha256} if row.original is not None else set())


def _require_single(matches: list[Candidate], description: str) -> Candidate:
    if not matches:
        raise ValueError(f"the manifest has no picture with {description}")
    if len(matches) > 1:
        raise ValueError(f"{description} fits {len(matches)} pictures, {matches[0].id!r} and others: use their ids")
    return matches[0]


def _file_names(name: str) -> Iterable[str]:
    """Yield possible file names in a path, a URL, or Label Studio's URL of a local file."""
    if name.startswith("data:"):
        return
    yield name
    try:
        address = urlsplit(name)
        local = parse_qs(address.query).get("d")
    except ValueError:
        return
    path = local[0] if local else unquote(address.path)
    file_name = path.replace("\\", "/").rsplit("/", 1)[-1]
    yield from (path, file_name)
    if match := _UPLOADED.match(file_name):
        yield match[1]
