"""Keep a copy of each file that DVC rewrites in place, and restore it if a write was cut off.

DVC empties `dvc.lock` and `.dvc` files and then writes them for some tenths of a second. A kill or a full disk there
leaves an empty or incomplete file, which no DVC command can read any more. So before each write this module copies the
file to `.hfi/pointers/`, and marks that a write is to come. The next command compares the file with its copy.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from flows.runtime.console import warn
from flows.versioning.git import try_git
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.pipeline.layout import DVC_LOCK, STATE

COPIES = STATE / "pointers"
_CONFLICT = "<<<<<<< "
_MARK = ".writing"


class Condition(Enum):
    """What a pointer file is like."""

    MISSING = "missing"
    WHOLE = "whole"
    CUT = "cut off"
    CONFLICT = "in a merge conflict"
    DAMAGED = "damaged"


def condition_of(path: Path) -> Condition:
    """Return whether a pointer file is whole.

    A file that ends inside a line was cut off. One that ends after a line may have been cut off only where a write was
    marked: it lacks stages that its copy has, or its last entry is incomplete.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    except FileNotFoundError:
        return Condition.MISSING
    if not text.strip("\0 \n\t"):
        return Condition.CUT
    if any(line.startswith(_CONFLICT) for line in text.splitlines()):
        return Condition.CONFLICT
    if not text.endswith("\n"):
        return Condition.CUT
    content, is_marked = _parse(text), _mark_of(path).exists()
    if not _is_readable(path, content):
        return Condition.CUT if is_marked else Condition.DAMAGED
    if is_marked and (not _are_entries_complete(path, content) or _lacks_last_stages(path, content)):
        return Condition.CUT
    return Condition.WHOLE


def recover_pointers(paths: Iterable[Path] | None = None) -> None:
    """Restore each pointer file that a write cut off, with one warning; copy the whole ones. Hold DVC's lock.

    Args:
        paths: by default all pointer files of the project.

    Raises UserError if a file is damaged and no copy can replace it.
    """
    for path in pointer_paths() if paths is None else paths:
        condition = condition_of(path)
        if condition is Condition.MISSING:
            _copy_of(path).unlink(missing_ok=True)
            _mark_of(path).unlink(missing_ok=True)
        elif condition is Condition.WHOLE:
            with suppress(OSError, UserError):  # a full disk must not stop a command that only reads
                accept_write(path)
        elif condition is Condition.CUT and (_copy_of(path).exists() or _mark_of(path).exists()):
            _restore(path)
        else:
            raise UserError(describe_damage(path, condition))


def find_damage() -> Iterator[tuple[Path, Condition]]:
    """Yield the pointer files that are not whole."""
    for path in pointer_paths():
        if (condition := condition_of(path)) not in (Condition.WHOLE, Condition.MISSING):
            yield path, condition


@contextmanager
def protected_write(*paths: Path) -> Iterator[None]:
    """Let DVC rewrite pointer files; if the block fails, restore those that were cut off. Hold DVC's lock.

    Raises UserError before the block if a copy cannot be written, as on a full disk.
    """
    mark_write(*paths)
    try:
        yield
    except BaseException:
        recover_pointers(paths)
        raise
    for path in paths:
        with suppress(OSError, UserError):
            accept_write(path)


def mark_write(*paths: Path) -> None:
    """Copy pointer files and mark that DVC is to rewrite them.

    Raises UserError if the disk is full: DVC would empty the file and fail to write it.
    """
    for path in paths:
        if path.exists():
            _update_copy(path)
        with atomic_file(_mark_of(path)) as temporary:
            temporary.touch()


def accept_write(path: Path) -> None:
    """Copy a file that is whole, and remove its mark."""
    if path.exists():
        _update_copy(path)
    _mark_of(path).unlink(missing_ok=True)


def marked_paths() -> list[Path]:
    """Return the paths of the pointer files that DVC was to rewrite, and that no command has looked at since."""
    return [mark.relative_to(COPIES).with_suffix("") for mark in COPIES.rglob(f"*{_MARK}")]


def is_written(path: Path) -> bool:
    """Return whether a pointer file is whole and younger than its mark."""
    mark = _mark_of(path)
    try:
        is_younger = path.stat().st_mtime_ns > mark.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return is_younger and condition_of(path) is Condition.WHOLE


def read_entries() -> dict[str, str]:
    """Return what `dvc.lock` says about each stage, as a text to compare."""
    content = _parse(DVC_LOCK.read_text(encoding="utf-8")) if DVC_LOCK.exists() else None
    stages = content.get("stages") if isinstance(content, dict) else None
    return {
        address: json.dumps(entry, sort_keys=True, default=str)
        for address, entry in (stages.items() if isinstance(stages, dict) else ())
    }


def pointer_paths() -> list[Path]:
    """Return the paths of `dvc.lock` and of the `.dvc` files in the project, also of those that are only copies."""
    listed = try_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.dvc") or ""
    found = {Path(name) for name in listed.split("\0") if name and Path(name).is_file()}
    copied = {path.relative_to(COPIES) for path in COPIES.rglob("*.dvc") if path.is_file()}
    return [DVC_LOCK, *sorted(found | copied)]


def describe_damage(path: Path, condition: Condition) -> str:
    """Return a message that names a pointer file that is not whole, and says how to fix it."""
    if condition is Condition.CONFLICT:
        return (
            f"{path} holds the conflict markers of a merge in git.\nTo fix this: `git checkout --ours {path}` or "
            f"`git checkout --theirs {path}`, then `git add {path}`."
        )
    kind = "was cut off while it was written" if condition is Condition.CUT else "is not a file that DVC can read"
    tracked = try_git("cat-file", "-e", f"HEAD:./{path.as_posix()}") is not None
    if tracked:
        remedy = f"`git checkout HEAD -- {path}` restores the version of the last commit"
    elif path == DVC_LOCK:
        remedy = f"remove {path}; the next run makes what it named again"
    else:
        remedy = f"`rm {path}`, then `dvc add {path.with_suffix('')}`, which writes it from the data"
    return f"{path} {kind}, and there is no copy of it.\nTo fix this: {remedy}."


def recover_rwlock(folder: Path) -> None:
    """Remove DVC's record of the paths that its processes use, if a write cut it off. Hold the record's own lock.

    DVC refuses every command while it cannot read the record. What it named is lost with the process that wrote it.
    """
    path = folder / "rwlock"
    if is_rwlock_damaged(folder):
        path.unlink(missing_ok=True)
        warn(f"{path} was cut off while DVC wrote it (a kill, or a full disk). It is removed; no data is lost.")


def is_rwlock_damaged(folder: Path) -> bool:
    """Return whether DVC's record of the paths in use cannot be read."""
    try:
        return not isinstance(json.loads((folder / "rwlock").read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except ValueError:
        return True


def version_of(path: Path) -> tuple[int, ...]:
    """Return time, size and inode of a file; () if it does not exist."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return None


def _is_readable(path: Path, content: Any) -> bool:
    """Return whether the content has the form that DVC needs."""
    if not isinstance(content, dict):
        return False
    if path.name != DVC_LOCK.name:
        return isinstance(content.get("outs"), list)
    stages = content.get("stages", {})
    return (
        "schema" in content
        and isinstance(stages, dict)
        and all(isinstance(stage, dict) and "cmd" in stage for stage in stages.values())
        and all(isinstance(stage.get(kind, []), list) for stage in stages.values() for kind in ("deps", "outs"))
    )


def _are_entries_complete(path: Path, content: dict[str, Any]) -> bool:
    """Return whether each entry has all the keys that DVC writes."""
    owners = content.get("stages", {}).values() if path.name == DVC_LOCK.name else [content]
    entries = [entry for owner in owners for kind in ("deps", "outs") for entry in owner.get(kind) or []]
    return all(_is_entry_complete(entry) for entry in entries)


def _is_entry_complete(entry: Any) -> bool:
    if not isinstance(entry, dict) or "path" not in entry or len(entry) == 1:
        return False
    digest = str(entry.get("md5") or "")
    required = (["md5"] if "hash" in entry else []) + (["size"] if digest else [])
    return all(key in entry for key in [*required, *(["nfiles"] if digest.endswith(".dir") else [])])


def _lacks_last_stages(path: Path, content: dict[str, Any]) -> bool:
    """Return whether a `dvc.lock` has the first stages of its copy, and not the last ones or the end of its last."""
    copy = _copy_of(path)
    if path.name != DVC_LOCK.name or not copy.exists():
        return False
    before = (_parse(copy.read_text(encoding="utf-8")) or {}).get("stages") or {}
    now = content.get("stages") or {}
    if len(now) < len(before):
        return list(before)[: len(now)] == list(now)
    last = next(reversed(now), None)
    return last in before and now[last].keys() < before[last].keys()


def _restore(path: Path) -> None:
    """Put the copy in the place of a file that was cut off; a rename needs no space on a full disk."""
    copy = _copy_of(path)
    if copy.exists():
        copy.replace(path)
        outcome = "The version before that write is restored, and what it does not name is made again."
    else:
        path.unlink()
        outcome = "It did not exist before that write, so it is removed, and what it named is made again."
    warn(f"{path} was cut off while DVC wrote it (a kill, or a full disk). {outcome}")
    with suppress(OSError, UserError):
        accept_write(path)


def _update_copy(path: Path) -> None:
    copy, content = _copy_of(path), path.read_bytes()
    if not copy.exists() or copy.read_bytes() != content:
        with atomic_file(copy) as temporary:
            temporary.write_bytes(content)
            shutil.copystat(path, temporary)


def _copy_of(path: Path) -> Path:
    return COPIES / path


def _mark_of(path: Path) -> Path:
    return COPIES / path.with_name(f"{path.name}{_MARK}")
