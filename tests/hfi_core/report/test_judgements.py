"""What the page says of agreement and annotators."""

import json

import pytest

from hfi_core.report.page import describe_judgements
from hfi_core.stages import compare
from tests.support.evaluations import small_params, write_files

HALF = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 40}

SHARES = {"accuracy": HALF, "yes_found": None, "no_found": HALF}


def _summary(kind="binary", **fields):
    summary = {
        "kind": kind,
        "warning": None,
        "agreement_intervals": {"krippendorff_alpha": HALF, "kendalls_w": None},
        "by_annotator": {
            "ana": {"judgements": 40, "cant_tell": 3, "accuracy": HALF, "yes_found": None, "no_found": HALF}
        },
    }
    return summary | fields


def test_agreement_is_shown_with_its_interval_and_what_it_is_taken_over():
    assert describe_judgements(_summary()).agreement == [
        ("Krippendorff's alpha", "0.500 [0.25, 0.75], over 40 pictures")
    ]


def test_an_annotator_has_a_row_with_gaps_where_nothing_is_to_compare():
    told = describe_judgements(_summary())
    assert told.header == [
        "annotator",
        "judgements",
        "can't tell",
        "as the others",
        "their yes found",
        "their no found",
    ]
    assert told.annotators == [["ana", "40", "3", "0.500 [0.25, 0.75]", "–", "0.500 [0.25, 0.75]"]]


def test_annotators_of_rankings_are_counted_only():
    told = describe_judgements(_summary("ranking", by_annotator={"ana": {"judgements": 4, "cant_tell": 1}}))
    assert told.header == ["annotator", "judgements", "not placed"] and told.annotators == [["ana", "4", "1"]]


@pytest.fixture
def page(tmp_path):
    def make(**fields):
        params = small_params()
        files = write_files(tmp_path, params)
        path = tmp_path / "labels/badge/summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))
        compare.run(params, files.inputs, files.outputs())
        return files.outputs()["page"].read_text(encoding="utf-8")

    return make


def test_the_page_shows_every_annotator_and_the_warning_in_two_places(page):
    told = page(warning="badge: annotators agree <too little>")
    assert "badge: annotators agree &lt;too little&gt;" in told and "Agreement on badge" in told
    assert all(f'<th scope="row">crowd-{k}</th>' in told for k in (1, 2, 3))
    assert "0.870 [0.84, 0.90], over 480 pictures" in told


def test_agreement_that_cannot_be_told_is_said_so(page):
    told = page(agreement_intervals={"krippendorff_alpha": None, "kendalls_w": None})
    assert "cannot be told" in told and "Agreement on badge" not in told
