import json

import pytest
from pydantic import ValidationError

from hfi_core.feedback.schema import dump_judgement, parse_judgement
from tests.support.judging import candidate, ranking, vote

PICTURE = candidate("p1")


def _parse(row):
    return parse_judgement(json.dumps(row))


@pytest.mark.parametrize(
    "row",
    [
        vote(PICTURE),
        vote(PICTURE, "cant_tell", id="j", annotator="Bo Ek, 7", simulated=True),
        vote(PICTURE, shown_at="2026-11-24T09:12:03+01:00", answered_at="2026-11-24T08:12:09Z", note="é"),
        vote(PICTURE, supersedes="j:1"),
        ranking([["p1"], ["p2", "p3"]], not_applicable=["p4"]),
        ranking([], id="r", not_applicable=["p1"]),
        ranking([["p1"]], not_applicable=["p2"], id="r", digests={"p1": "a" * 64, "p2": "b" * 64}),
    ],
)
def test_a_judgement_survives_being_written_and_read(row):
    judgement = _parse(row)
    assert _parse(dump_judgement(judgement)) == judgement
    assert all(dump_judgement(judgement)[name] == value for name, value in row.items() if not name.endswith("_at"))


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (vote(PICTURE, "maybe"), "answer"),
        (vote(PICTURE, True), "answer"),
        (vote(PICTURE, id=""), "id"),
        (vote(PICTURE, id="a b"), "id"),
        (vote(PICTURE, annotator=7), "annotator"),
        (vote(PICTURE, id="j", annotator="a\nb"), "annotator"),
        (vote(PICTURE, picture="../p1"), "picture"),
        (vote(PICTURE, sha256="ABC"), "sha256"),
        (vote(PICTURE, answered_at="2026-11-24T09:12:03"), "answered_at"),
        (vote(PICTURE, answered_at=1732439523), "answered_at"),
        (vote(PICTURE, answered_at="1732439523"), "answered_at"),
        (vote(PICTURE, answered_at="46350.38"), "answered_at"),
        (vote(PICTURE, answered_at="0001-01-01T00:00:00+01:00"), "answered_at"),
        (vote(PICTURE, simulated="yes"), "simulated"),
        (vote(PICTURE, concept="Badge"), "concept"),
        (vote(PICTURE, extra=1), "extra"),
        (vote(PICTURE, note="n" * 2001), "note"),
        (ranking([["p1"], []]), "groups"),
        (ranking([["p1"]], sha256="0" * 64), "sha256"),
        (ranking([["p1"]], digests={"p1": "0"}), "digests"),
    ],
)
def test_a_wrong_field_is_refused_by_name(row, field):
    with pytest.raises(ValidationError) as caught:
        _parse(row)
    assert field in caught.value.errors()[0]["loc"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ranking([], id="r"), "no picture is ranked"),
        (ranking([["p1"], ["p1"]]), "'p1' appears twice"),
        (ranking([["p1"]], not_applicable=["p1"]), "'p1' appears twice"),
        (ranking([[f"p{k}"] for k in range(101)], id="r"), "at most 100"),
        (ranking([["p1"]], not_applicable=["p2"], digests={"p1": "0" * 64}), "digests must name exactly the pictures"),
        (vote(PICTURE, kind="stars"), "binary"),
        ({"id": "x"}, "kind"),
    ],
)
def test_a_judgement_that_says_nothing_usable_is_refused_with_the_reason(row, message):
    with pytest.raises(ValidationError, match=message):
        _parse(row)
