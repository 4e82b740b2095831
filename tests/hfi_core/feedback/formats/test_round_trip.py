"""What is exported comes back as it was, whatever the format."""

import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.feedback.formats.detect import detect_format
from hfi_core.feedback.formats.importer import import_file
from hfi_core.feedback.formats.label_studio.tasks import link_pictures
from hfi_core.feedback.formats.registry import FORMATS
from hfi_core.feedback.schema import parse_judgement
from tests.support.format_imports import BADGES, STYLES, bring, project, store_in

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NOTES = TEXT | st.sampled_from(["", "=1+1", "@x", "'=1", "''", "'", "\t-", "a\r\nb\rc", '"', ';"\n,', "\x00", "＝x"])
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
ZONES = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))
PEOPLE = st.sampled_from([f"a-{number:012x}" for number in range(4)])


@st.composite
def judgements(draw) -> list:
    """Chains of answers, each chain one annotator's to one question."""
    rows, asked = [], set()
    for number in range(draw(st.integers(1, 8))):
        row = _question(draw)
        key = (row["annotator"], row["concept"], *sorted(_pictures(row)))
        if key in asked:
            continue
        asked.add(key)
        before = None
        for count in range(draw(st.integers(1, 3))):
            name = f"{draw(st.sampled_from('zmaQ9'))}{number}.{count}:@-_"
            rows.append(row | _answer(draw, row) | {"id": name, "supersedes": before} | _rest(draw))
            before = name
    return [parse_judgement(_json(row)) for row in rows]


def _question(draw) -> dict:
    annotator = draw(PEOPLE)
    if draw(st.booleans()):
        about = draw(st.sampled_from(BADGES))
        return {
            "annotator": annotator, "concept": "badge", "kind": "binary", "picture": about.id, "sha256": about.sha256,
        }  # fmt: skip
    shown = draw(st.lists(st.sampled_from([style.id for style in STYLES]), min_size=1, unique=True))
    return {"annotator": annotator, "concept": "klara", "kind": "ranking", "groups": [shown]}


def _pictures(row: dict) -> list[str]:
    return [row["picture"]] if "picture" in row else row["groups"][0]


def _answer(draw, row: dict) -> dict:
    if row["kind"] == "binary":
        return {"answer": draw(st.sampled_from(["yes", "no", "cant_tell"]))}
    groups: list[list[str]] = []
    left_out = []
    for picture in draw(st.permutations(row["groups"][0])):
        match draw(st.integers(0, 2)):
            case 0 if groups:
                groups[-1].append(picture)
            case 1:
                left_out.append(picture)
            case _:
                groups.append([picture])
    digests = {style.id: style.sha256 for style in STYLES if style.id in row["groups"][0]}
    return {"groups": groups, "not_applicable": left_out, "digests": digests}


def _rest(draw) -> dict:
    times = {name: draw(st.none() | TIMES) for name in ("shown_at", "answered_at")}
    return {
        "note": draw(st.none() | NOTES),
        "simulated": draw(st.booleans()),
        **{name: at and at.astimezone(draw(ZONES)).isoformat() for name, at in times.items()},
    }


def _json(row: dict) -> str:
    import json

    return json.dumps({name: value for name, value in row.items() if value is not None})


@pytest.mark.parametrize("format", FORMATS)
@given(rows=judgements())
@settings(max_examples=25)
def test_a_store_that_is_exported_and_imported_into_an_empty_one_is_the_same_to_the_byte(format, rows):
    with tempfile.TemporaryDirectory() as name:
        folder, other = Path(name) / "one", Path(name) / "other"
        folder.mkdir(), other.mkdir()
        with store_in(folder) as store:
            store.add_batch("rows", rows, source="test")
            before = store.take_snapshot(folder / "snapshot.jsonl")
            path = folder / f"out.{'tsv' if format == 'tsv' else 'txt'}"
            assert FORMATS[format].write(path, store.read_judgements(), link_pictures("https://pictures")) == len(rows)
        assert detect_format(path) == format
        with project(other) as held, store_in(other) as store:
            assert import_file(path, held, store)[1].new == len(rows)
            assert store.take_snapshot(other / "snapshot.jsonl") == before
        assert (other / "snapshot.jsonl").read_bytes() == (folder / "snapshot.jsonl").read_bytes()
        assert bring(path, other).new == 0
