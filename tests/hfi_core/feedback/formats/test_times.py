"""Times of files: read where one reading is possible, else rejected with the option that decides."""

import json

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.formats.row import ReadOptions
from hfi_core.feedback.formats.times import parse_time
from tests.support.format_imports import BADGES, bring, complaints, stored
from tests.support.judging import vote

UTC = {"timezone": "UTC"}


@pytest.mark.parametrize(
    ("value", "options", "time"),
    [
        ("2026-11-24T09:12:07+00:00", {}, "2026-11-24T09:12:07+00:00"),
        ("2026-11-24 09:12:07.5Z", {}, "2026-11-24T09:12:07.500000+00:00"),
        ("2026-11-24 09:12:07 UTC", {}, "2026-11-24T09:12:07+00:00"),
        ("2026-11-24T09:12-0130", {}, "2026-11-24T09:12:00-01:30"),
        ("20261124T091207Z", {}, "2026-11-24T09:12:07+00:00"),
        ("2026-11-24T09:12:07", UTC, "2026-11-24T09:12:07+00:00"),
        ("2026-07-24T09:12:07", {"timezone": "Europe/Berlin"}, "2026-07-24T09:12:07+02:00"),
        ("2026-07-24T09:12:07Z", {"timezone": "Europe/Berlin"}, "2026-07-24T09:12:07+00:00"),
        ("2026-11-24T09:12:07", {"timezone": "+05:30"}, "2026-11-24T09:12:07+05:30"),
        (1764000000, {}, "2025-11-24T16:00:00+00:00"),
        ("1764000000.5", {}, "2025-11-24T16:00:00.500000+00:00"),
        ("1764000000000", {}, "2025-11-24T16:00:00+00:00"),
        (1764000000000, {"time_formats": ("unix-ms",)}, "2025-11-24T16:00:00+00:00"),
        ("46351.5", {"time_formats": ("excel",)} | UTC, "2026-11-25T12:00:00+00:00"),
        ("46351,5", {"time_formats": ("excel",)} | UTC, "2026-11-25T12:00:00+00:00"),
        ("44889.5", {"time_formats": ("excel-1904",)} | UTC, "2026-11-25T12:00:00+00:00"),
        ("2026-11-24T10:00:00Z", {"time_formats": ("excel",)} | UTC, "2026-11-24T10:00:00+00:00"),
        ("24/11/2026 09:12:07", UTC, "2026-11-24T09:12:07+00:00"),
        ("11/24/2026, 9:12 PM", UTC, "2026-11-24T21:12:00+00:00"),
        ("5.6.2026 09:12", UTC, "2026-06-05T09:12:00+00:00"),
        ("2026/11/24 9:12:07", UTC, "2026-11-24T09:12:07+00:00"),
        ("05/06/2026 09:12:07", {"time_formats": ("day-first",)} | UTC, "2026-06-05T09:12:07+00:00"),
        ("05/06/2026 09:12:07", {"time_formats": ("month-first",)} | UTC, "2026-05-06T09:12:07+00:00"),
        ("20261124091207", {"time_formats": ("%Y%m%d%H%M%S",)} | UTC, "2026-11-24T09:12:07+00:00"),
        ("2026-11-24", {"time_formats": ("%Y-%m-%d",)} | UTC, "2026-11-24T00:00:00+00:00"),
    ],
)
def test_a_time_with_one_reading_is_read(value, options, time):
    assert parse_time(value, ReadOptions(**options)) == time


@pytest.mark.parametrize(
    ("value", "options", "reason"),
    [
        ("0001-01-01T00:00:00+01:00", {}, "outside the years 1 to 9999"),
        ("9999-12-31T23:59:59-01:00", {}, "outside the years 1 to 9999"),
        ("0000-00-00 00:00:00Z", {}, "not in the calendar"),
        ("2026-02-30T00:00:00Z", {}, "not in the calendar"),
        ("46350.38", {}, "--time-format excel"),
        (46350, {}, "--time-format excel"),
        ("20261124", {}, "ISO 8601"),
        ("20261124091207", {}, "ISO 8601"),
        ("2611240912", {}, "ISO 8601"),
        ("9" * 5000, {}, "ISO 8601"),
        (float("nan"), {}, "not known"),
        (-5, {}, "not known"),
        ("1.764E+09", {}, "not known"),
        (True, {}, "not a text or a number"),
        ("46350.38", {"time_formats": ("unix",)}, "not between the years 2000 and 2040 as unix"),
        ("1764000000", {"time_formats": ("excel",)} | UTC, "not between the years 2000 and 2040 as excel"),
        ("46350.38", {"time_formats": ("excel",)}, "--timezone"),
        ("2026-11-24T09:12:07", {}, "--timezone"),
        ("2026-11-24", UTC, "no time of day"),
        ("05/06/2026 09:12:07", UTC, "--time-format day-first or month-first"),
        ("24/11/2026 09:12:07", {"time_formats": ("month-first",)} | UTC, "not in the calendar"),
        ("13/13/2026 09:12:07", UTC, "not in the calendar"),
        ("24/11/26 09:12:07", UTC, "not known"),
        ("24/11/2026 13:12 PM", UTC, "twelve hours"),
        ("Tuesday", UTC, "not known"),
        ("2026-10-25T02:30:00", {"timezone": "Europe/Berlin"}, "twice or never"),
        ("2026-03-29T02:30:00", {"timezone": "Europe/Berlin"}, "twice or never"),
    ],
)
def test_another_time_is_rejected_with_what_to_do(value, options, reason):
    with pytest.raises(ValueError, match=reason):
        parse_time(value, ReadOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"timezone": "Mars/Olympus"}, {"timezone": "../etc/passwd"}, {"timezone": ""}, {"timezone": "+99:00"},
        {"time_formats": ("excel", "unix")}, {"time_formats": ("day-first", "month-first")}, {"time_formats": ("iso",)},
    ],
)  # fmt: skip
def test_an_unknown_zone_or_format_is_refused(tmp_path, options):
    path = tmp_path / "a.csv"
    path.write_text("picture,annotator,concept,answer\nbadge-1,Ana,badge,yes\n")
    with pytest.raises(UserError, match="--time"):
        bring(path, tmp_path, **options)


BAD = "0001-01-01T00:00:00+01:00"
TASK = {"id": 1, "data": {"image": "badge-1"}, "annotations": [
    {"completed_by": 1, "created_at": BAD, "result": [{"from_name": "a", "value": {"choices": ["yes"]}}]}
]}  # fmt: skip
FLAT = {"image": "badge-1", "id": 1, "annotator": 4, "annotation_id": 9, "answer": "yes", "created_at": BAD}


@pytest.mark.parametrize(
    ("name", "content", "location"),
    [
        ("a.csv", f"picture,annotator,answer,answered_at\nbadge-1,Ana,yes,{BAD}\n", "line 2"),
        ("a.tsv", f"picture\tannotator\tanswer\tshown_at\nbadge-1\tAna\tyes\t{BAD}\n", "line 2"),
        ("a.jsonl", json.dumps(vote(BADGES[0], answered_at=BAD)), "line 1"),
        ("a.json", json.dumps([TASK]), "task 1, annotation 1"),
        ("b.json", json.dumps([FLAT]), "item 1 (task 1)"),
    ],
)
def test_a_time_outside_the_calendar_is_rejected_by_its_place_in_every_format(tmp_path, name, content, location):
    path = tmp_path / name
    path.write_text(content)
    ((found, reason),) = complaints(path, tmp_path, concept="badge")
    assert found == location and "outside the years" in reason


def test_a_day_number_supersedes_an_earlier_iso_time(tmp_path):
    path = tmp_path / "a.csv"
    header = "picture,annotator,concept,answer,answered_at\n"
    path.write_text(f"{header}badge-1,ana,badge,yes,46351.5\nbadge-1,ana,badge,no,2026-11-24T10:00:00Z\n")
    assert "--time-format excel" in complaints(path, tmp_path)[0][1]
    bring(path, tmp_path, time_formats=("excel",), timezone="UTC")
    assert {row.answer: row.supersedes is not None for row in stored(tmp_path)} == {"no": False, "yes": True}
