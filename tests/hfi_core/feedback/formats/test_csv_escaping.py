"""No cell that is exported is a formula, and every one comes back."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.feedback.formats.delimited import escape_formula, unescape_formula

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_text(text):
    assert escape_formula(text) == "'" + text


@given(st.none() | st.text() | st.sampled_from(FORMULAS).flatmap(lambda f: st.text("'=").map(lambda t: t + f)))
def test_every_text_comes_back_and_none_begins_like_a_formula(text):
    cell = escape_formula(text)
    assert unescape_formula(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2))
def test_cells_survive_the_csv_they_are_written_in(texts):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow(map(escape_formula, texts))
    assert [unescape_formula(cell) for cell in next(csv.reader(io.StringIO(stream.getvalue(), newline="")))] == texts


def test_an_apostrophe_that_somebody_else_wrote_stays():
    assert unescape_formula("'tis") == "'tis"
