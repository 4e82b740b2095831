"""Whether a network's files hold every tensor: diffusers and transformers go on with random weights in their place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfi_core.enumeration import first_of
from hfi_core.errors import UserError

_NAMED = 3


def require_all_tensors(folder: Path, report: Mapping[str, Any], kind: str) -> None:
    """Look through the report of `from_pretrained(..., output_loading_info=True)`.

    Raises UserError, which names tensors, if some are missing.
    """
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"{folder} lacks weights of a {kind}: {first_of(missing, _NAMED)}. Random ones would take their "
            "place: fetch the folder again, or name one that holds the whole model."
        )
