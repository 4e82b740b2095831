"""Judges of the evaluation. Plug-ins import `Judge`, `PictureVerdict` and `Scores` from here.

Importing this package does not load torch: each name is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfi_core.judges.base import Judge, PictureVerdict, Scores, load_judge

__all__ = ["Judge", "PictureVerdict", "Scores", "load_judge"]


def __getattr__(name: str) -> Any:
    """Import an exported name on first use (PEP 562)."""
    if name in __all__:
        return getattr(import_module("hfi_core.judges.base"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
