"""Import existing pictures as candidates. Each picture is checked; the folder is written whole or not at all.

A manifest row has the prompt, seed and model where they are known. It has the name and the digest of the original file,
because existing labels refer to the picture by these.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfi_core.candidates.decoder import MAX_BYTES, RejectedImage, decode_image
from hfi_core.candidates.manifest import MANIFEST, Candidate, Original, read_manifest
from hfi_core.candidates.rounds import Round, write_rounds
from hfi_core.errors import UserError, listed
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.csv_files import Table, TableError, TableRow
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_jsonl
from hfi_core.io.printable_text import escape_unprintable
from hfi_core.progress import Progress, no_progress

_IGNORED = ("thumbs.db", "desktop.ini", "icon\r")
_IGNORED_FOLDERS = ("__MACOSX", "@eaDir")
"""What systems write beside files, without the user's knowledge."""
_SIDECARS = (
    ".aae", ".caption", ".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".lnk", ".log", ".md", ".npy", ".npz",
    ".parquet", ".tags", ".tsv", ".txt", ".url", ".webloc", ".xml", ".xmp", ".yaml", ".yml",
)  # fmt: skip
"""Endings of captions, tables and links beside pictures. Their names say that they are not pictures."""


@dataclass(frozen=True)
class ImportedCandidates:
    """The result of an import of pictures."""

    pictures: int
    converted: int
    """Pictures that were converted, so they are not their file's own bytes."""
    repeated: int
    """Files with the same bytes as another file."""
    passed_over: tuple[str, ...]
    """Files that are not pictures by their names, and links."""
    changed: bool
    """False if the folder already had exactly these candidates."""


def import_candidates(
    source: Path,
    target: Path,
    *,
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    exclude: Path | None = None,
    size: int | None = None,
    rounds: Sequence[Round] = (),
    replace: bool = False,
    progress: Progress = no_progress,
) -> ImportedCandidates:
    """Import every picture below `source` into the candidates' folder `target`. Ids begin with the name of `target`.

    `metadata` holds prompt, seed, model and attack by a file's path or name, where they are known. `exclude` is a file
    below `source` that is not a picture. With `size`, each picture is cropped to its middle square and scaled. `rounds`
    are the records of the rounds that the pictures are of.

    Raises UserError, which names every rejected file, and if pictures of `target` would be removed or changed while
    `replace` is false.
    """
    files, passed_over = _find_files(source, target, exclude)
    table = _MetadataTable(dict(metadata or {}), files)
    earlier = {row.id: row for row in read_manifest(target)} if (target / MANIFEST).exists() else {}
    rejected: list[str] = []
    rows: dict[str, Candidate] = {}
    sizes: dict[tuple[int, int], str] = {}
    repeated = 0
    with atomic_folder(target) as folder:
        (folder / "pictures").mkdir()
        for number, (name, path) in enumerate(files.items()):
            progress(number, len(files), "pictures")
            try:
                data = _read_bytes(path)
                digest = hashlib.sha256(data).hexdigest()
                id = f"{target.name}-{digest[:16]}"
                origin = table.find(name)
                if id in rows:
                    repeated += 1
                    rows[id] = _add_copy(rows[id], _require_utf8(name), origin)
                    continue
                picture = decode_image(data, size)
                original = Original(file=_require_utf8(name), sha256=digest, changed=picture.changed)
            except RejectedImage as error:
                rejected.append(f"{escape_unprintable(name)}: {error}")
                continue
            png = _read_earlier_png(target, earlier.get(id), original) or picture.png
            (folder / "pictures" / f"{id}.png").write_bytes(png)
            sha256 = hashlib.sha256(png).hexdigest()
            generated = "prompt" in origin and "seed" in origin
            rows[id] = Candidate(id=id, sha256=sha256, generated=generated, original=original, **origin)
            sizes.setdefault((picture.width, picture.height), name)
        rejected += [
            f"{escape_unprintable(name)}: the table names it, but there is no such file" for name in table.unused
        ]
        replaced = [row for id, row in earlier.items() if id not in rows or rows[id].sha256 != row.sha256]
        _require_importable(source, target, rejected, sizes, replaced, replace)
        write_jsonl(folder / MANIFEST, [rows[key].model_dump(mode="json") for key in sorted(rows)])
        write_rounds(folder, rounds)
    converted = sum(bool(row.original and row.original.changed) for row in rows.values())
    return ImportedCandidates(len(rows), converted, repeated, passed_over, changed=earlier != rows)


def _add_copy(row: Candidate, name: str, origin: Mapping[str, Any]) -> Candidate:
    """Add the name of another file with the same bytes, and what the table says about that file.

    Raises RejectedImage if the table says something else about the first file.
    """
    assert row.original is not None, "only imported pictures have copies"
    known = {key: value for key in origin if (value := getattr(row, key)) is not None}
    if differing := [key for key in known if known[key] != origin[key]]:
        raise RejectedImage(
            f"has the bytes of {row.original.file!r}, but the table gives another {differing[0]}; correct the table"
        )
    original = row.original.model_copy(update={"copies": (*row.original.copies, name)})
    fields = row.model_dump(exclude={"original", "generated"}) | dict(origin)
    return Candidate(**fields, original=original, generated="prompt" in fields and "seed" in fields)


class _MetadataTable:
    """The known metadata of the files, and which of its names were used."""

    def __init__(self, metadata: dict[str, Mapping[str, Any]], files: Mapping[str, Path]):
        self._metadata, self._names = metadata, Counter(path.name for path in files.values())
        self._used: set[str] = set()

    def find(self, name: str) -> Mapping[str, Any]:
        """Return the metadata of a file.

        Raises RejectedImage if the table has only the file's name, and several files have that name.
        """
        last = name.rsplit("/", 1)[-1]
        key = name if name in self._metadata else last
        if key not in self._metadata:
            return {}
        self._used.add(key)
        if key != name and self._names[last] > 1:
            raise RejectedImage(
                f"the table names {last!r}, and {self._names[last]} files have that name: write their paths"
            )
        return self._metadata[key]

    @property
    def unused(self) -> list[str]:
        """Return the names in the table that are not a file's."""
        return sorted(set(self._metadata) - self._used)


def _find_files(source: Path, target: Path, exclude: Path | None) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the files below a folder by their path in it, sorted, and the names of those that are passed over.

    Hidden files are left out. Links are passed over, and so are files whose names say that they are not pictures.
    """
    if not source.is_dir():
        raise UserError(f"{source} is {'not a folder' if source.exists() else 'missing'}; name a folder of pictures.")
    from_path, to_path = source.resolve(), target.resolve()
    if from_path == to_path or from_path in to_path.parents or to_path in from_path.parents:
        raise UserError(f"One of {source} and {target} contains the other; name a folder of pictures elsewhere.")
    excluded = exclude.resolve() if exclude else None
    found: dict[str, Path] = {}
    passed_over: list[str] = []
    for top, folders, files in os.walk(source, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _IGNORED_FOLDERS]
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        for name in [*links, *files]:
            path = Path(top) / name
            if name.startswith(".") or name.lower() in _IGNORED or path.resolve() == excluded:
                continue
            if path.is_symlink() or path.suffix.lower() in _SIDECARS:
                passed_over.append(path.relative_to(source).as_posix())
            else:
                found[path.relative_to(source).as_posix()] = path
    if not found:
        what = f"no pictures, only files such as {passed_over[0]!r}" if passed_over else "no files"
        raise UserError(f"{source} has {what}; name a folder of pictures.")
    return dict(sorted(found.items())), tuple(sorted(passed_over))


def _read_bytes(path: Path) -> bytes:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise RejectedImage("is a link; replace it by the picture itself")
        if not stat.S_ISREG(mode):
            raise RejectedImage("is not a file")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise RejectedImage(f"cannot be read: {error.strerror}") from error


def _read_earlier_png(target: Path, row: Candidate | None, original: Original) -> bytes | None:
    """Return the PNG that an earlier import made of the same file.

    A newer Pillow might write other bytes, and people have judged these.
    """
    if row is None or row.original is None:
        return None
    if (row.original.sha256, row.original.changed) != (original.sha256, original.changed):
        return None
    path = target / row.file
    return path.read_bytes() if path.is_file() and sha256_of_file(path) == row.sha256 else None


def _require_importable(
    source: Path,
    target: Path,
    rejected: list[str],
    sizes: Mapping[tuple[int, int], str],
    replaced: list[Candidate],
    replace: bool,
) -> None:
    if rejected:
        files = "1 file was" if len(rejected) == 1 else f"{len(rejected)} files were"
        remedy = "  To fix this: remove them from the folder (or from the table), or replace them."
        raise UserError(
            f"{source}: {files} rejected, so nothing was imported.\n{listed(rejected, as_lines=True)}\n{remedy}"
        )
    if len(sizes) > 1:
        examples = [f"{escape_unprintable(name)} has {w} x {h} pixels" for (w, h), name in list(sizes.items())[:2]]
        raise UserError(
            f"{source}: {' and '.join(examples)}, so nothing was imported.\n  To fix this: `--size N` crops all "
            "pictures to squares of N pixels. N is the size that your model draws."
        )
    if replaced and not replace:
        raise UserError(
            f"{target}: {len(replaced)} of its pictures would be removed or changed, such as {replaced[0].id}. "
            "Judgements of them would lose their pictures.\n"
            "  To fix this: choose another --name, or allow it with --replace."
        )


def _require_utf8(name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RejectedImage("its name is not UTF-8; rename it") from error
    return name


COLUMNS = ("file", "prompt", "seed", "model")
_MAX_PROMPT = 2000


def read_picture_table(path: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata in a table by the file's path or name. An empty cell is unknown.

    Raises UserError, which names the invalid lines.
    """
    rows: dict[str, dict[str, Any]] = {}
    invalid: list[str] = []
    try:
        with path.open("rb") as stream:
            table = Table(stream)
            if "file" not in table.header:
                raise UserError(f"{path} has no column `file`. It may have the columns {', '.join(COLUMNS)}.")
            for line in table:
                try:
                    if isinstance(line, TableError):
                        raise ValueError(line.reason)
                    name, metadata = _parse_row(line)
                    if name in rows:
                        raise ValueError(f"names {name!r} again")
                    rows[name] = metadata
                except ValueError as error:
                    invalid.append(f"line {line.number if isinstance(line, TableRow) else line.line}: {error}")
    except TableError as error:
        raise UserError(f"{path}, line {error.line}: {error.reason}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if invalid:
        raise UserError(f"{path}: nothing was imported.\n{listed(invalid, as_lines=True)}")
    return rows


def _parse_row(line: TableRow) -> tuple[str, dict[str, Any]]:
    cells = {name: line.cells.get(name, "").strip() for name in COLUMNS}
    name = cells.pop("file").removeprefix("./")
    if not name:
        raise ValueError("has an empty cell in the column `file`")
    if len(cells["prompt"]) > _MAX_PROMPT:
        raise ValueError(f"the prompt has more than {_MAX_PROMPT} characters")
    metadata: dict[str, Any] = {key: value for key, value in cells.items() if value}
    if seed := metadata.get("seed"):
        if not (seed.isascii() and seed.isdecimal() and len(seed) <= 20):
            raise ValueError(f"the seed {seed[:40]!r} is not a whole number from 0")
        metadata["seed"] = int(seed)
    return name, metadata
