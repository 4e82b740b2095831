"""Check the options of an import before a file is read: what contradicts itself, or would be ignored, is refused."""

from hfi_core.feedback.formats.row import ReadOptions
from hfi_core.feedback.formats.times import require_time_options


def require_consistent_options(options: ReadOptions) -> None:
    """Raise UserError if options contradict each other."""
    require_time_options(options)
