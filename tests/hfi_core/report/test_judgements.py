"""Agreement and annotators on the report page."""

import json

import pytest

from hfi_core.pipeline.stage import StageContext
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


def test_agreement_has_its_interval_and_the_number_of_units():
    assert describe_judgements(_summary()).agreement == [
        ("Krippendorff's alpha", "0.500 [0.25, 0.75], over 40 pictures")
    ]


def test_an_annotator_has_a_row_with_gaps_where_there_is_nothing_to_compare():
    described = describe_judgements(_summary())
    assert described.header == [
        "annotator",
        "judgements",
        "can't tell",
        "agrees",
        "agrees on yes",
        "agrees on no",
    ]
    assert described.annotators == [["ana", "40", "3", "0.500 [0.25, 0.75]", "–", "0.500 [0.25, 0.75]"]]


def test_rankings_have_counts_only():
    described = describe_judgements(_summary("ranking", by_annotator={"ana": {"judgements": 4, "cant_tell": 1}}))
    assert described.header == ["annotator", "judgements", "not placed"] and described.annotators == [["ana", "4", "1"]]


@pytest.fixture
def page(tmp_path):
    def make(**fields):
        params = small_params()
        files = write_files(tmp_path, params)
        path = tmp_path / "labels/badge/summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))
        compare.run(StageContext(params, files.inputs, files.outputs()))
        return files.outputs()["page"].read_text(encoding="utf-8")

    return make


def test_the_page_shows_every_annotator_and_the_warning_twice(page):
    text = page(warning="badge: annotators agree <too little>")
    assert "badge: annotators agree &lt;too little&gt;" in text and "Agreement on badge" in text
    assert all(f'<th scope="row">crowd-{k}</th>' in text for k in (1, 2, 3))
    assert "0.870 [0.84, 0.90], over 480 pictures" in text


def test_the_page_says_that_agreement_cannot_be_computed(page):
    text = page(agreement_intervals={"krippendorff_alpha": None, "kendalls_w": None})
    assert "cannot be computed" in text and "Agreement on badge" not in text
