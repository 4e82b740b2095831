"""Find the candidate that a file refers to: by manifest id, by digest, or by file name if that is unique.

Tools write a picture's name in different ways. Each way is read as its tool writes it. A name that two pictures fit is
rejected, and so are two paths that end in the same name when only the name is known.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, unquote_plus, urlsplit

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.formats.answers import format_value

_DIGEST = re.compile(r"^(?:sha256:)?([0-9a-f]{64})$", re.IGNORECASE)
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(.+)$")
"""Label Studio puts eight hexadecimal digits before the name of an uploaded file."""
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_WEB_SCHEMES = ("http", "https")
_LOCAL_FILES = re.compile(r"/local-files/?\?(?:.*&)?d=([^&#]*)")
"""Label Studio's address of a local file, with its path in `d`."""
_NOT_IN_UPLOAD = re.compile(r"[^-\w.]")


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
        self._by_upload: dict[str, list[Candidate]] = defaultdict(list)
        self._paths: dict[str, str] = {}
        """The path under which the file named a picture, where only the path's last part is known."""
        for row in rows:
            self._ids[row.id] = row
            for digest in _digests(row):
                self._by_digest[digest].append(row)
            names = {f"{row.id}.png"}
            if row.original is not None:
                for file in (row.original.file, *row.original.copies):
                    names |= {_normalize(file), _normalize(file.rsplit("/", 1)[-1])}
            for name in names:
                self._by_file[name].append(row)
            for name in {_upload_name(name.rsplit("/", 1)[-1]) for name in names}:
                self._by_upload[name].append(row)

    def by_digest(self, digest: str | None) -> Candidate:
        return _require_single(self._by_digest.get(digest or "", []), f"the digest {format_value(digest)}")

    def by_name(self, name: str) -> Candidate:
        if name in self._ids:
            return self._ids[name]
        if match := _DIGEST.match(name):
            return self.by_digest(match[1].lower())
        if not name.startswith("data:"):
            for paths in _readings(name):
                if matches := self._match(paths):
                    return self._require_one_path(_require_single(matches, f"the name {format_value(name)}"), paths[0])
        raise ValueError(f"the manifest has no picture {format_value(name)}")

    def _match(self, paths: list[str]) -> list[Candidate]:
        """Return the candidates of the longest part of the paths that is known."""
        for count in range(max(path.count("/") for path in paths) + 1, 0, -1):
            found = {row.id: row for path in paths for row in self._by_file.get("/".join(path.split("/")[-count:]), [])}
            if found:
                return list(found.values())
        return list({row.id: row for path in paths for row in self._of_upload(path)}.values())

    def _of_upload(self, path: str) -> list[Candidate]:
        folders, _, file = path.rpartition("/")
        match = _UPLOADED.match(file)
        if match is None or (folders and "upload" not in folders.split("/")):
            return []
        return self._by_upload.get(_upload_name(match[1]), [])

    def _require_one_path(self, candidate: Candidate, path: str) -> Candidate:
        """Raise ValueError if the file has named the picture by another path, of which one may be another picture."""
        files = (candidate.original.file, *candidate.original.copies) if candidate.original is not None else ()
        if path not in map(_normalize, files) or "/" not in path:
            earlier = self._paths.setdefault(candidate.id, path)
            if earlier != path:
                raise ValueError(
                    f"{format_value(path)} and {format_value(earlier)} end in the same name, and the manifest does not "
                    f"say which of them is {candidate.id!r}: write the picture's id"
                )
        return candidate


def _digests(row: Candidate) -> set[str]:
    return {row.sha256} | ({row.original.sha256} if row.original is not None else set())


def _require_single(matches: list[Candidate], description: str) -> Candidate:
    if not matches:
        raise ValueError(f"the manifest has no picture with {description}")
    if len(matches) > 1:
        raise ValueError(f"{description} fits {len(matches)} pictures, {matches[0].id!r} and others: use their ids")
    return matches[0]


def _normalize(name: str) -> str:
    """Compose letters and their accents: macOS writes them apart, other systems as one character."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).removeprefix("./")


def _upload_name(name: str) -> str:
    """Return the name that Label Studio gives to an uploaded file."""
    return _NOT_IN_UPLOAD.sub("", unquote(name).strip().replace(" ", "_"))


def _readings(name: str) -> Iterator[list[str]]:
    """Yield what a name may mean, the surest first. Several paths at once are equally possible.

    A path and an object's key in a bucket are literal. In a web address `?` and `#` end the path, and `%20` is a space.
    """
    scheme = _SCHEME.match(name)
    if match := _LOCAL_FILES.search(name):
        yield [_normalize(unquote(match[1])), _normalize(unquote_plus(match[1]))]
        return
    web = scheme is not None and scheme[1].lower() in _WEB_SCHEMES
    if web or (scheme is None and name.startswith("/data/")):
        try:
            yield [_normalize(unquote(urlsplit(name).path)).lstrip("/")]
        except ValueError:
            return
        return
    literal = name[scheme.end() :] if scheme else name
    yield [_normalize(literal)]
    if (decoded := unquote(literal.split("?", 1)[0])) != literal:
        yield [_normalize(decoded)]
