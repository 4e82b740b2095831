"""Check the options of an import before a file is read: what contradicts itself, or would be ignored, is refused."""

import math

from hfi_core.errors import UserError
from hfi_core.feedback.formats.answers import normalize_words
from hfi_core.feedback.formats.label_studio.export import ATTRIBUTION_FIELDS
from hfi_core.feedback.formats.mapping import require_known_fields
from hfi_core.feedback.formats.row import RATING, ReadOptions
from hfi_core.feedback.formats.times import require_time_options

QUOTINGS = ("double", "none")
_LABEL_STUDIO = ("label-studio", "label-studio-min")
_TASK_FIELDS = {"picture", "sha256", "concept", "left", "right"}


def require_consistent_options(options: ReadOptions, format: str) -> None:
    """Raise UserError if options contradict each other, or do not apply to the format."""
    require_time_options(options)
    _require_consistent_words(options)
    _require_consistent_ratings(options)
    _require_consistent_columns(options, format)
    for name in ("annotator", "concept", "control"):
        value = getattr(options, name)
        if value is not None and not value.strip():
            raise UserError(f"--{name} is empty.")
    if options.quoting not in (None, *QUOTINGS):
        raise UserError(f"--quoting {options.quoting!r} is not known; there are {', '.join(QUOTINGS)}.")
    if options.delimiter is not None and (
        len(options.delimiter) != 1 or options.delimiter.isalnum() or options.delimiter in "\"'\r\n"
    ):
        raise UserError(f"--delimiter {options.delimiter!r} is not one character such as `,`, `;`, `|` or `tab`.")
    if format == "tsv" and options.delimiter not in (None, "\t"):
        raise UserError("The format TSV and another --delimiter contradict each other. To fix this: add --format csv.")
    applying = {
        "control": _LABEL_STUDIO, "buckets": _LABEL_STUDIO, "ground_truth": _LABEL_STUDIO,
        "delimiter": ("csv", "tsv"), "quoting": ("csv", "tsv"), "skip_empty": ("csv", "tsv", "jsonl"),
    }  # fmt: skip
    for name, formats in applying.items():
        if getattr(options, name) not in (None, (), False) and format not in formats:
            option = name.replace("_", "-")
            raise UserError(f"--{option} does not apply to {format}, only to {', '.join(formats)}.")


def _require_consistent_words(options: ReadOptions) -> None:
    seen: dict[str, str] = {}
    for option in ("yes", "no", "cant_tell"):
        for word in getattr(options, option):
            (normalized,) = normalize_words((word,))
            if not normalized:
                raise UserError(f"--{option.replace('_', '-')} {word!r} is not a word.")
            if seen.setdefault(normalized, option) != option:
                first, second = (name.replace("_", "-") for name in (seen[normalized], option))
                raise UserError(f"--{first} {word!r} and --{second} {word!r} contradict each other.")


def _require_consistent_ratings(options: ReadOptions) -> None:
    yes, no = options.rating_yes, options.rating_no
    for name, value in (("yes", yes), ("no", no)):
        if value is not None and not math.isfinite(value):
            raise UserError(f"--rating-{name} {value} is not a number.")
    if no is not None and yes is None:
        raise UserError("--rating-no is only read together with --rating-yes, the lowest rating that means yes.")
    if no is not None and yes is not None and no >= yes:
        raise UserError(
            f"--rating-yes {yes:g} and --rating-no {no:g} contradict each other: ratings from {yes:g} on mean yes, so "
            "those that mean no have to be lower.\n  To fix this: if low ratings mean yes, map them with --yes, --no."
        )


def _require_consistent_columns(options: ReadOptions, format: str) -> None:
    columns = list(options.columns.values())
    if repeated := next((column for column in columns if columns.count(column) > 1), None):
        names = " and ".join(name for name, column in options.columns.items() if column == repeated)
        raise UserError(f"--column maps {repeated!r} to {names}; a column holds one field.")
    if {"answer", RATING} <= options.columns.keys():
        raise UserError("--column maps both an answer and a rating; only one of them can count.")
    if format not in _LABEL_STUDIO:
        require_known_fields(options)
        return
    for name, key in options.columns.items():
        if name not in _TASK_FIELDS | ATTRIBUTION_FIELDS:
            known = ", ".join(sorted(_TASK_FIELDS | ATTRIBUTION_FIELDS))
            raise UserError(
                f"--column {name}={key} does not apply to {format}; there are {known}. --control names the answer."
            )
