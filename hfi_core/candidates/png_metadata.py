"""Remove from a PNG what is not needed to show it: author, place, camera, prompt, and what follows its end."""

import struct
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"cICP")
)
"""Chunks of pixels and of their colours, which hold numbers only. Every other chunk can hold text."""
_BIT_DEPTH_OFFSET = 24


def strip_metadata(png: bytes) -> bytes:
    """Return a PNG without its metadata; the same bytes if it has none. The pixels are not encoded again."""
    if not png.startswith(_SIGNATURE):
        return png
    return _SIGNATURE + b"".join(chunk for name, chunk in _chunks(png) if name in _PIXEL_CHUNKS)


def read_bit_depth(png: bytes) -> int:
    """Return the bits of each channel of a PNG. (Pillow opens sixteen bits of colour as eight.)"""
    return png[_BIT_DEPTH_OFFSET] if png.startswith(_SIGNATURE) and len(png) > _BIT_DEPTH_OFFSET else 8


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, position)
        end = position + 12 + length
        yield name, png[position:end]
        if name == b"IEND":
            return
        position = end
