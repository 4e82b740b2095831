"""Judgements by people are read whole, and only if they are about the rows' present pictures."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.evaluation.human_judgements import HumanJudgement, HumanJudgements, read_human_judgements
from hfi_core.io.json_files import read_jsonl, write_jsonl
from tests.support.human_evaluation import write_judgements


@pytest.fixture
def judged(rows):
    return [row for row in rows if row.name in ("base", "anchored")]


@pytest.fixture
def file(judged, tmp_path):
    write_judgements(tmp_path / "people.jsonl", judged)
    return tmp_path / "people.jsonl"


def _refuses(file, rows, message, edit):
    write_jsonl(file, edit(read_jsonl(file)))
    with pytest.raises(UserError, match=message) as raised:
        read_human_judgements(file, rows)
    assert "To fix this" in str(raised.value)


def test_a_file_as_it_was_written_is_read(file, rows, judged):
    read = read_human_judgements(file, rows)
    assert set(read.tallies) == {"base", "anchored"} and set(read.tallies["base"]) == {"broad", "precise"}
    assert len(read.judgements) == 3 * sum(r["suite"] in ("broad", "precise") for row in judged for r in row.records)


def test_a_row_that_was_drawn_again_is_refused_with_the_way_out(file, rows):
    redrawn = [dict(record, sha256="ab" * 32) if record["suite"] == "precise" else record for record in rows[0].records]
    with pytest.raises(UserError) as raised:
        read_human_judgements(file, [replace(rows[0], records=redrawn), *rows[1:]])
    text = str(raised.value)
    assert (
        "line " in text and "people judged another picture 0 of the suite precise, row base: it was drawn again" in text
    )
    assert "remove evaluate.people" in text and "hfi human-evaluation create NAME" in text


def test_a_row_or_a_picture_that_is_gone_is_refused(file, rows):
    with pytest.raises(UserError, match="line 1: people judged the row base, which params.yaml does not have"):
        read_human_judgements(file, rows[1:])
    fewer = [record for record in rows[0].records if record["suite"] != "broad"]
    with pytest.raises(
        UserError, match="line 1: people judged picture 0 of the suite broad, row base, which is no lon"
    ):
        read_human_judgements(file, [replace(rows[0], records=fewer), *rows[1:]])


def test_rows_that_people_judged_on_other_pictures_are_no_pairs(file, rows):
    _refuses(file, rows, "people judged other pictures of the row anchored than of base", lambda said: said[:-3])


def test_base_has_to_be_judged(file, rows):
    _refuses(file, rows, "no judgement on the row base", lambda said: [o for o in said if o["row"] != "base"])
    _refuses(file, rows, "no judgement on the row base", lambda said: [])


def test_a_line_that_is_wrong_or_stands_twice_is_named(file, rows):
    _refuses(file, rows, "line 4: answer: Input should be", lambda s: [*s[:3], s[3] | {"answer": "maybe"}])
    write_judgements(file, rows[:1])
    _refuses(file, rows, r"line 5: 'ben' answers the question of line 2 again", lambda s: [*s[:4], s[1]])
    with pytest.raises(UserError, match="cannot be read"):
        read_human_judgements(file.with_name("nowhere.jsonl"), rows)


_ANSWERS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 4)), st.sampled_from(["yes", "no", "cant_tell"]), min_size=1
)


@given(_ANSWERS, st.randoms())
def test_majorities_are_those_of_a_literal_count(answers, random):
    lines = [
        HumanJudgement(row="base", suite="broad", index=picture, sha256=f"{picture:064x}", annotator=f"a{person}",
                       answer=answer)
        for (picture, person), answer in answers.items()
    ]  # fmt: skip
    read = HumanJudgements(None, random.sample(lines, len(lines)))
    tally = read.tallies["base"]["broad"]
    pictures = sorted({picture for picture, _ in answers})
    assert tally.indices.tolist() == pictures
    for picture, majority in zip(pictures, tally.majority.tolist(), strict=True):
        counted = Counter(answer for (number, _), answer in answers.items() if number == picture)
        expected = "yes" if counted["yes"] > counted["no"] else "no" if counted["no"] > counted["yes"] else "tie"
        assert {1: "yes", -1: "no", 0: "tie"}[majority] == expected
    assert sorted(read.votes_by_picture.tolist()) == sorted(tally.votes.tolist())


def test_a_picture_that_rows_share_counts_once_among_people():
    said = [
        HumanJudgement(row=row, suite="broad", index=0, sha256="ab" * 32, annotator=who, answer="yes")
        for row in ("base", "safe")
        for who in ("ana", "ben")
    ]
    assert np.array_equal(HumanJudgements(None, said).votes_by_picture, [[2, 0]])
