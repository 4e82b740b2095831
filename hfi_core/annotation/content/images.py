"""Read pictures, and check them before they are served: the digest of a candidate, the size of every picture."""

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
    """Return the bytes of a candidate's picture.

    Raises UserError if the file is missing (an expiry may have removed it), differs from the manifest, or is too large.
    """
    raw = read_checked_picture(folder / candidate.file, ("PNG",))
    if hashlib.sha256(raw).hexdigest() != candidate.sha256:
        raise UserError(f"{candidate.file} is not the picture in the manifest: its sha256 differs.")
    return raw


def read_checked_picture(path: Path, formats: tuple[str, ...]) -> bytes:
    """Return the bytes of a picture whose header gives a size that a browser can decode safely.

    Raises UserError if the file is missing, too large, or not a picture of these formats.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path.name} is larger than {MAX_BYTES} bytes.")
        raw = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
            with Image.open(io.BytesIO(raw), formats=formats) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(f"{path.name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS}.")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path.name} is not a picture that can be shown.") from error
    return raw
