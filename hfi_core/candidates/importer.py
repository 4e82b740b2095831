"""Pictures that people have already become candidates: each one checked, and their folder written whole or not at all.

What is unknown of a picture's making is left out of its manifest row; its file is remembered by name and digest, since
the labels that people have know it by those.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfi_core.candidates.decoder import MOST_BYTES, RejectedImage, decode_image
from hfi_core.candidates.manifest import MANIFEST, Candidate, Original, read_manifest
from hfi_core.errors import UserError, listed
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.csv_files import Line, Table, TroubleAt
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_jsonl
from hfi_core.progress import Progress, no_progress

_IGNORED = ("Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class ImportedCandidates:
    """What an import of pictures came to."""

    pictures: int
    converted: int
    """Pictures that are not their file's own bytes."""
    repeated: int
    """Files with the bytes of another one."""
    changed: bool
    """False if the folder held just this already."""


def import_candidates(
    source: Path,
    target: Path,
    *,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    leave_out: Path | None = None,
    size: int | None = None,
    replace: bool = False,
    progress: Progress = no_progress,
) -> ImportedCandidates:
    """Take every picture below `source` into the candidates' folder `target`; ids begin with the name of that.

    `known` says by a file's path or name what is known of its making (prompt, seed, model); `leave_out` is a file below
    `source` that is no picture. `size` crops to the middle square and scales. Pictures in `target` that would go or
    become others stop the import, unless `replace` lets them. Raises UserError that names every file refused.
    """
    files = _files(source, target, leave_out)
    making = _Making(dict(known or {}), files)
    earlier = {row.id: row for row in read_manifest(target)} if (target / MANIFEST).exists() else {}
    refused: list[str] = []
    rows: dict[str, Candidate] = {}
    sizes: dict[tuple[int, int], str] = {}
    repeated = 0
    with atomic_folder(target) as folder:
        (folder / "pictures").mkdir()
        for number, (name, path) in enumerate(files.items()):
            progress(number, len(files), "pictures")
            try:
                data = _bytes(path)
                digest = hashlib.sha256(data).hexdigest()
                id = f"{target.name}-{digest[:16]}"
                made = making.of(name)
                if id in rows:
                    repeated += 1
                    continue
                picture = decode_image(data, size)
                original = Original(file=_text(name), sha256=digest, changed=picture.changed)
            except RejectedImage as error:
                refused.append(f"{_printable(name)}: {error}")
                continue
            png = _kept(target, earlier.get(id), original) or picture.png
            (folder / "pictures" / f"{id}.png").write_bytes(png)
            sha256 = hashlib.sha256(png).hexdigest()
            generated = "prompt" in made and "seed" in made
            rows[id] = Candidate(id=id, sha256=sha256, generated=generated, original=original, **made)
            sizes.setdefault((picture.width, picture.height), name)
        refused += [f"{_printable(name)}: the table names it, and no such file is there" for name in making.unused]
        others = [row for id, row in earlier.items() if id not in rows or rows[id].sha256 != row.sha256]
        _require_fit(source, target, refused, sizes, others, replace)
        write_jsonl(folder / MANIFEST, [rows[key].model_dump(mode="json") for key in sorted(rows)])
    converted = sum(bool(row.original and row.original.changed) for row in rows.values())
    return ImportedCandidates(len(rows), converted, repeated, changed=earlier != rows)


class _Making:
    """What is known of the files, and which names were never asked for."""

    def __init__(self, known: dict[str, Mapping[str, Any]], files: Mapping[str, Path]):
        self._known, self._names = known, Counter(path.name for path in files.values())
        self._used: set[str] = set()

    def of(self, name: str) -> Mapping[str, Any]:
        """What is known of a file; Refused if its name alone does not say which file is meant."""
        last = name.rsplit("/", 1)[-1]
        key = name if name in self._known else last
        if key not in self._known:
            return {}
        self._used.add(key)
        if key != name and self._names[last] > 1:
            raise RejectedImage(
                f"the table names {last!r}, and {self._names[last]} files are called so: write their paths"
            )
        return self._known[key]

    @property
    def unused(self) -> list[str]:
        """Names without a file."""
        return sorted(set(self._known) - self._used)


def _files(source: Path, target: Path, leave_out: Path | None) -> dict[str, Path]:
    """Everything below a folder by its path there, sorted; hidden files are passed over, links are not followed."""
    if not source.is_dir():
        raise UserError(f"{source} is {'no folder' if source.exists() else 'missing'}; name a folder of pictures.")
    here, there = source.resolve(), target.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UserError(f"{source} and {target} lie in each other; name a folder of pictures elsewhere.")
    spared = leave_out.resolve() if leave_out else None
    found: dict[str, Path] = {}
    for top, folders, files in os.walk(source, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        for name in [*links, *files]:
            path = Path(top) / name
            if not name.startswith(".") and name not in _IGNORED and path.resolve() != spared:
                found[path.relative_to(source).as_posix()] = path
    if not found:
        raise UserError(f"{source} holds no file.")
    return dict(sorted(found.items()))


def _bytes(path: Path) -> bytes:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise RejectedImage("is a link; put the picture itself there")
        if not stat.S_ISREG(mode):
            raise RejectedImage("is no file")
        with path.open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise RejectedImage(f"cannot be read: {error.strerror}") from error


def _kept(target: Path, row: Candidate | None, original: Original) -> bytes | None:
    """The bytes that an earlier import made of the same file: a newer Pillow might write others, and people have judged
    these."""
    if row is None or row.original is None:
        return None
    if (row.original.sha256, row.original.changed) != (original.sha256, original.changed):
        return None
    path = target / row.file
    return path.read_bytes() if path.is_file() and sha256_of_file(path) == row.sha256 else None


def _require_fit(
    source: Path,
    target: Path,
    refused: list[str],
    sizes: Mapping[tuple[int, int], str],
    others: list[Candidate],
    replace: bool,
) -> None:
    if refused:
        files = "1 file was" if len(refused) == 1 else f"{len(refused)} files were"
        remedy = "  To mend it: take them out of the folder (or out of the table), or replace them."
        raise UserError(
            f"{source}: {files} refused, so nothing was imported.\n{listed(refused, as_lines=True)}\n{remedy}"
        )
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise UserError(
            f"{source}: {_printable(first)} is {one[0]} x {one[1]} pixels and {_printable(second)} {other[0]} x "
            f"{other[1]}, so nothing was imported.\n  To mend it: `--size N` crops all to squares of N pixels, "
            "the size that your model draws."
        )
    if others and not replace:
        raise UserError(
            f"{target} holds {len(others)} pictures that would go or become others, such as {others[0].id}; judgements "
            "on them would have nothing to point at.\n"
            "  To mend it: choose another --name, or let them go with --replace."
        )


def _text(name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RejectedImage("its name is not UTF-8; rename it") from error
    return name


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


COLUMNS = ("file", "prompt", "seed", "model")
_MOST_PROMPT = 2000


def read_picture_table(path: Path) -> dict[str, dict[str, Any]]:
    """What a table says, by the file's path or name; empty cells are unknown.

    Raises UserError that names the lines which are wrong.
    """
    found: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    try:
        with path.open("rb") as stream:
            table = Table(stream)
            if "file" not in table.header:
                raise UserError(f"{path} has no column `file`; the columns that are read are {', '.join(COLUMNS)}.")
            for line in table:
                try:
                    if isinstance(line, TroubleAt):
                        raise ValueError(line.reason)
                    name, known = _row(line)
                    if name in found:
                        raise ValueError(f"names {name!r} again")
                    found[name] = known
                except ValueError as error:
                    wrong.append(f"line {line.number if isinstance(line, Line) else line.line}: {error}")
    except TroubleAt as trouble:
        raise UserError(f"{path}, line {trouble.line}: {trouble.reason}.") from trouble
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if wrong:
        raise UserError(f"{path}: nothing was imported.\n{listed(wrong, as_lines=True)}")
    return found


def _row(line: Line) -> tuple[str, dict[str, Any]]:
    cells = {name: line.cells.get(name, "").strip() for name in COLUMNS}
    name = cells.pop("file").removeprefix("./")
    if not name:
        raise ValueError("names no file")
    if len(cells["prompt"]) > _MOST_PROMPT:
        raise ValueError(f"the prompt has more than {_MOST_PROMPT} characters")
    known: dict[str, Any] = {key: value for key, value in cells.items() if value}
    if "seed" in known:
        if not (known["seed"].isascii() and known["seed"].isdecimal() and len(known["seed"]) <= 20):
            raise ValueError(f"the seed {known['seed'][:40]!r} is no whole number from 0")
        known["seed"] = int(known["seed"])
    return name, known
