"""Text and controls keep WCAG AA's contrast, in daylight and in the dark."""

import re
from pathlib import Path

import pytest

import hfi_core.annotation

CSS = (Path(hfi_core.annotation.__file__).parent / "static" / "css" / "base.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})[;\s]", block)) for block in re.split(r"@media \(prefers", CSS)[:2]
)
TEXT = [
    ("ink", "paper"), ("ink", "card"), ("ink", "soft"), ("quiet", "paper"), ("quiet", "card"), ("quiet", "soft"),
    ("accent-ink", "accent"), ("accent", "accent-soft"), ("accent", "card"), ("warn", "warn-soft"),
    ("bad", "bad-soft"), ("ink", "accent-soft"), ("ink", "warn-soft"),
]  # fmt: skip
CONTROLS = [("edge", "card"), ("edge", "paper"), ("focus", "card"), ("focus", "paper"), ("accent", "soft")]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour as WCAG defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (CONTROLS, 3.0)], ids=["text", "controls"])
def test_what_is_read_stands_out(colours, pairs, least):
    for front, back in pairs:
        low, high = sorted(luminance(colours[name]) for name in (front, back))
        assert (high + 0.05) / (low + 0.05) >= least, (front, back)
