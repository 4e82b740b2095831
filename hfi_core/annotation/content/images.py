"""The bytes of a picture, checked before they are served: the digest of a candidate, the size of any."""

import hashlib
import io
import warnings
from pathlib import Path

from PIL import Image

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.io.images import MAX_PIXELS

MAX_BYTES = 64 * 1024 * 1024


def read_candidate_picture(folder: Path, candidate: Candidate) -> bytes:
    """The picture's file, which is the one that the manifest names.

    Raises UserError if it is gone (an expiry may have removed it), another one, or of hostile size.
    """
    raw = read_checked_picture(folder / candidate.file, ("PNG",))
    if hashlib.sha256(raw).hexdigest() != candidate.sha256:
        raise UserError(f"{candidate.file} is not the picture that the manifest names (its sha256 differs).")
    return raw


def read_checked_picture(path: Path, formats: tuple[str, ...]) -> bytes:
    """A picture's bytes; its header says that a browser can decode it without harm.

    Raises UserError for a file that is missing, too large, or no picture of these formats.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path.name} is larger than {MAX_BYTES} bytes.")
        raw = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
            with Image.open(io.BytesIO(raw), formats=formats) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(f"{path.name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS}.")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path.name} is no picture that can be shown.") from error
    return raw
