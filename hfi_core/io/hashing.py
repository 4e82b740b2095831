"""SHA-256 digests of files, of folders and of JSON values."""

import hashlib
import json
from pathlib import Path
from typing import Any


def sha256_of_file(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_folder(path: Path) -> str:
    """Return the hex digest of a folder: the digest of the sorted lines "digest  relative path" of its files."""
    lines = [
        f"{sha256_of_file(file)}  {file.relative_to(path).as_posix()}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file or a folder."""
    return sha256_of_folder(path) if path.is_dir() else sha256_of_file(path)


def sha256_of_json(value: Any) -> str:
    """Return the hex digest of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
