"""Finds pickles by content, whatever a file is called: bare, in archives, compressed, and in NumPy's object arrays."""

import bz2
import gzip
import io
import lzma
import pickletools
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

_COMPRESSED = ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ\x00", lzma.decompress),
               (b"\x78", zlib.decompress))  # fmt: skip
_NUMPY = b"\x93NUMPY"


def holds_pickle(content: bytes) -> bool:
    """Whether a file's content is a pickle, or holds one."""
    if content.startswith(_NUMPY):
        header = content[10 : 10 + int.from_bytes(content[8:10], "little")]
        return b"'|O'" in header
    return _is_pickle(content) or any(holds_pickle(part) for part in _parts(content))


def _is_pickle(content: bytes) -> bool:
    try:
        pickletools.dis(content, io.StringIO())  # follows the stack, too: plain text happens to spell operations
    except Exception:  # pickletools raises whatever the bytes make it stumble over
        return False
    return True


def _parts(content: bytes) -> Iterator[bytes]:
    stream = io.BytesIO(content)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    for start, decompress in _COMPRESSED:
        if content.startswith(start):
            try:
                yield decompress(content)
            except (OSError, EOFError, lzma.LZMAError, zlib.error):
                continue
    stream.seek(0)
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=stream) as archive:
            yield from (archive.extractfile(member).read() for member in archive if member.isfile())
