"""Figures by people's majorities, and how far people and judge agree."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from hfi_core.errors import UserError
from hfi_core.evaluation.definitions import direction_of, is_judged_share, is_share, list_metrics
from hfi_core.evaluation.gates import check_gates
from hfi_core.evaluation.human_figures import add_human_figures
from hfi_core.evaluation.human_judgements import read_human_judgements
from hfi_core.feedback.agreement import cohens_kappa, krippendorff_alpha
from hfi_core.metrics.paired_tests import holm
from hfi_core.params import Gate
from tests.support.human_evaluation import judge_as_the_judge, write_judgements


@pytest.fixture
def judged(rows):
    return [row for row in rows if row.name in ("base", "anchored")]


@pytest.fixture
def measure(params, rows, judged, evaluation, tmp_path):
    """`measure(answer)`: the evaluation with judgements that a function gives."""

    def add(answer=judge_as_the_judge, **more):
        write_judgements(tmp_path / "people.jsonl", judged, answer, **more)
        return add_human_figures(params, evaluation, rows, read_human_judgements(tmp_path / "people.jsonl", rows))

    return add


def _metrics(evaluation, row):
    return next(one["metrics"] for one in evaluation["rows"] if one["row"] == row)


def test_people_who_answer_as_the_judge_get_the_judges_figures(measure, evaluation):
    measured = measure()
    for row in ("base", "anchored"):
        ours, theirs = _metrics(measured, row), _metrics(evaluation, row)
        for suite in ("broad", "precise"):
            assert ours[f"flagged_by_people@{suite}"]["value"] == theirs[f"flagged@{suite}"]["value"]
            assert ours[f"flagged_by_people@{suite}"]["n"] == theirs[f"flagged@{suite}"]["n"]
            flagged = ours[f"flagged_by_people@{suite}"]["value"]
            assert ours[f"accepted_by_people@{suite}"]["value"] == pytest.approx(1 - flagged, abs=1e-6)
        judge = measured["people"]["rows"][row]["judge"]
        assert judge["agreement"]["value"] == judge["kappa"]["value"] == 1 and 0 < judge["kappa"]["low"] < 1
        assert measured["people"]["rows"][row]["undecided"] == 0
    assert measured["people"]["alpha"]["value"] == 1 and measured["people"]["simulated"]
    assert "flagged_by_people@broad" not in _metrics(measured, "sdd-text")


def test_ties_and_cant_tell_are_neither_flagged_nor_accepted_but_count(measure, judged):
    split = {"ana": "yes", "ben": "no", "cleo": "cant_tell"}
    measured = measure(lambda record, annotator: split[annotator])
    metrics = _metrics(measured, "base")
    assert metrics["flagged_by_people@broad"]["value"] == metrics["accepted_by_people@broad"]["value"] == 0
    assert metrics["flagged_by_people@broad"]["n"] == len(judged[0].positions["broad"])
    people = measured["people"]
    assert people["rows"]["base"]["undecided"] == people["rows"]["base"]["pictures"]
    judge = people["rows"]["base"]["judge"]
    assert judge == {"agreement": None, "kappa": None, "flagged_found": None, "accepted_found": None}
    assert people["cant_tell"] == people["judgements"] / 3 and people["alpha"]["value"] < 0


def test_the_judges_misses_are_a_literal_count(measure, judged):
    def answer(record, annotator):
        return "yes" if record["index"] % 2 or record["flagged"] else "no"

    row = measure(answer)["people"]["rows"]["base"]
    records = [r for r in judged[0].records if r["suite"] in ("broad", "precise")]
    yes = np.array([answer(record, "") == "yes" for record in records])
    flagged = np.array([record["flagged"] for record in records])
    assert row["judge"]["agreement"]["value"] == pytest.approx((flagged == yes).mean(), abs=1e-6)
    assert row["judge"]["flagged_found"]["value"] == pytest.approx(flagged[yes].mean(), abs=1e-6)
    assert row["judge"]["flagged_found"]["n"] == yes.sum()
    assert row["judge"]["accepted_found"]["value"] == 1
    kappa = row["judge"]["kappa"]
    assert kappa["value"] == pytest.approx(cohen_kappa_score(flagged, yes), abs=1e-6)
    assert kappa["low"] < kappa["value"] < kappa["high"] and kappa["n"] == len(records)


def test_alpha_is_that_of_all_answers_and_of_each_rows(measure, judged):
    def answer(record, annotator):
        return "no" if annotator == "cleo" and record["index"] % 3 == 0 else judge_as_the_judge(record, annotator)

    people = measure(answer)["people"]

    def counts(rows):
        records = [r for row in rows for r in row.records if r["suite"] in ("broad", "precise")]
        answers = [[answer(record, who) for who in ("ana", "ben", "cleo")] for record in records]
        return np.array([[said.count("yes"), said.count("no")] for said in answers])

    assert people["alpha"]["value"] == pytest.approx(krippendorff_alpha(counts(judged)), abs=1e-6)
    assert people["rows"]["base"]["alpha"]["value"] == pytest.approx(krippendorff_alpha(counts(judged[:1])), abs=1e-6)


def test_one_person_has_no_alpha(measure):
    people = measure(people=["ana"])["people"]
    assert people["alpha"] is None and people["rows"]["base"]["alpha"] is None and people["annotators"] == 1


def test_rows_are_tested_against_base_in_pairs_and_corrected_with_all_others(measure, evaluation):
    measured = measure()
    added = measured["comparisons"][len(evaluation["comparisons"]) :]
    assert [(c["metric"], c["row"], c["against"]) for c in added] == [
        (f"{figure}@{suite}", "anchored", "base")
        for figure in ("flagged_by_people", "accepted_by_people")
        for suite in ("broad", "precise")
    ]
    by_judge = next(
        c
        for c in evaluation["comparisons"]
        if (c["metric"], c["row"], c["against"]) == ("flagged@broad", "anchored", "base")
    )
    assert (added[0]["difference"], added[0]["p"]) == (by_judge["difference"], by_judge["p"])
    assert [c["p_holm"] for c in measured["comparisons"]] == holm([c["p"] for c in measured["comparisons"]])


def test_the_order_of_lines_does_not_matter_and_the_result_is_plain_json(measure, params, rows, evaluation, tmp_path):
    measured = measure()
    file = tmp_path / "people.jsonl"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    again = add_human_figures(params, evaluation, rows, read_human_judgements(file, rows))
    for one in (measured, again):
        one["provenance"].pop("people")
    assert json.dumps(again, allow_nan=False) == json.dumps(measured, allow_nan=False)


def test_gates_take_peoples_figures_of_a_judged_row_only(measure):
    measured = measure()
    gates = {"flagged_by_people@precise": Gate(at_most=0.5, of_base=True), "accepted_by_people@broad": Gate(at_least=0)}
    assert [result.passed for result in check_gates(measured, "anchored", gates)] == [True, True]
    with pytest.raises(UserError, match="release.gates.accepted_by_people@broad: no such figure"):
        check_gates(measured, "sdd-text", gates)
    with pytest.raises(UserError, match="not_worse_by: only shares by the judge"):
        check_gates(measured, "anchored", {"flagged_by_people@broad": Gate(not_worse_by=0.1)})


def test_the_figures_are_shares_with_a_direction_and_stand_last(measure):
    assert direction_of("flagged_by_people@broad") == "down" and direction_of("accepted_by_people@broad") == "up"
    assert is_share("flagged_by_people@broad") and not is_judged_share("flagged_by_people@broad")
    assert [name.partition("@")[0] for name in list_metrics(measure())][-4:] == [
        "flagged_by_people", "flagged_by_people", "accepted_by_people", "accepted_by_people"
    ]  # fmt: skip


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_kappa_is_scikit_learns(answers):
    first, second = (np.array(column) for column in zip(*answers, strict=True))
    shares = (np.mean(column, keepdims=True) for column in (first == second, first, second))
    (kappa,) = cohens_kappa(*shares)
    if len({*first.tolist(), *second.tolist()}) == 1:
        assert math.isnan(kappa)
    else:
        assert kappa == pytest.approx(cohen_kappa_score(first, second))
