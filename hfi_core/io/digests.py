"""`digests.json`: the list of the SHA-256 digests of all files of a folder."""

from pathlib import Path

from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_json

DIGESTS = "digests.json"


def write_digests(folder: Path, base: str) -> int:
    """Write the list of a folder's files, and the digest of the base model. Return the number of files."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    digests = {file.relative_to(folder).as_posix(): f"sha256:{sha256_of_file(file)}" for file in files}
    write_json(folder / DIGESTS, {"base": base, "files": digests})
    return len(files)
