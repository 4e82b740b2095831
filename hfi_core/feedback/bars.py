"""Holds the annotators' agreement against the bars of `feedback.agreement`."""

from pathlib import Path

from hfi_core import params
from hfi_core.errors import UserError
from hfi_core.feedback.statistics import DECIDING, Statistics

MEASURES = {"krippendorff_alpha": "Krippendorff's alpha", "kendalls_w": "Kendall's W"}
"""Measures by the words that people know them by."""

UNITS = {"krippendorff_alpha": "pictures", "kendalls_w": "sets of pictures"}
"""What each is taken over: what several people judged."""

_NEVER = -1
"""A `warn_below` that nothing is below."""

_REMEDY = (
    "look at `hfi feedback stats` for who differs from the others, make the guidelines clearer, and have the disputed "
    "pictures judged again"
)


def warning_of(statistics: Statistics, bars: params.Agreement, concept: str, file: Path) -> str | None:
    """What there is to warn about, in a sentence.

    Raises UserError below `refuse_below`, or if a bar is set there and nothing shows the agreement.
    """
    name = MEASURES[DECIDING[statistics.kind]]
    found = statistics.deciding
    if found is None:
        said = f"{concept}: how far annotators agree cannot be told ({name} is undefined)"
        why = "no picture was answered by two of them, or every answer is the same"
        if bars.refuse_below is not None:
            raise UserError(
                f"{file}: {said}, and feedback.agreement.refuse_below asks for {bars.refuse_below:g}: {why}.\n"
                "  To mend it: have pictures judged by several people, or set feedback.agreement.refuse_below to null."
            )
        return f"{said}: {why}." if bars.warn_below > _NEVER else None
    said = f"{concept}: annotators agree too little: {name} is {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
    if bars.refuse_below is not None and found.value < bars.refuse_below:
        raise UserError(
            f"{file}: {said}, and feedback.agreement.refuse_below asks for {bars.refuse_below:g}.\n"
            f"  To mend it: {_REMEDY}, or lower feedback.agreement.refuse_below."
        )
    if found.value < bars.warn_below:
        return f"{said}, below feedback.agreement.warn_below {bars.warn_below:g}; {_REMEDY}."
    return None
