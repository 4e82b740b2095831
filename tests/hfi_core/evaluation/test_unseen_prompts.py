"""Figures on prompts that nothing was trained on."""

import numpy as np
import pytest

from hfi_core.evaluation.unseen_prompts import list_trained_prompts, measure_unseen
from hfi_core.params import parse_params
from hfi_core.report.table import build_unseen_table


def changed(params, **prompts):
    """Params whose concept has other prompts, or whose row preserves some."""
    raw = params.model_dump(mode="json")
    if "concept" in prompts:
        raw["concepts"]["badge"]["prompts"] = prompts["concept"]
    if "preserved" in prompts:
        raw["removals"]["uce"] = {"method": "uce", "condition": "text", "preserved": prompts["preserved"]}
    return parse_params(raw)


def test_the_default_project_says_which_broad_prompts_it_trains_on(params, rows):
    found = measure_unseen(params, rows)
    assert found["suites"] == {"broad": {"prompts": 24, "trained": 8}}
    trained = set(params.concepts["badge"].prompts)
    for variant in rows:
        assert set(found["rows"][variant.name]) == {"flagged@broad", "kept@broad"}
        for metric, figure in found["rows"][variant.name].items():
            name = metric.partition("@")[0]
            records = [r for r in variant.records if r["suite"] == "broad" and r["prompt"] not in trained]
            assert figure["n"] == len(records) == 16 * 6
            assert figure["value"] == pytest.approx(np.mean([r[name] for r in records]), abs=1e-6)
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_preserved_prompts_are_trained_on_too_however_they_are_written(params, rows):
    unrelated = list(params.evaluate.suites["unrelated"].prompts)
    preserving = changed(params, preserved=[f" {unrelated[0].upper()} "])
    assert unrelated[0] in list_trained_prompts(preserving)
    found = measure_unseen(preserving, rows)
    assert found["suites"]["unrelated"] == {"prompts": len(unrelated), "trained": 1}
    assert found["rows"]["base"]["correct@unrelated"]["n"] == (len(unrelated) - 1) * 6


def test_a_suite_of_trained_prompts_alone_has_no_figures(params, rows):
    found = measure_unseen(changed(params, concept=list(params.evaluate.suites["broad"].prompts)), rows)
    assert found["suites"] == {"broad": {"prompts": 24, "trained": 24}}
    assert found["rows"] == {variant.name: {} for variant in rows}


def test_nothing_is_said_where_no_prompt_was_trained_on(params, rows):
    assert measure_unseen(changed(params, concept=["a badge on a hat"]), rows) == {}


def test_the_table_has_the_shown_rows(params, rows, evaluation):
    shown = evaluation | {"rows": evaluation["rows"][:2], "unseen": measure_unseen(params, rows)}
    header, *lines = build_unseen_table(shown)
    assert header == ["row", "flagged@broad", "kept@broad"]
    assert [line[0] for line in lines] == [row["row"] for row in evaluation["rows"][:2]]
    assert build_unseen_table(evaluation) == []
