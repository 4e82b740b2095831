"""A concept's candidates are drawn, imported as one or several sets, or both."""

from dataclasses import replace

import pytest

from hfi_core.errors import UserError
from hfi_core.params import parse_params
from hfi_core.pipeline.graph import STAGES, params_digest, params_of, stages_of, units_of
from tests.support.projects import default_raw

QUEUE, ROUND = "data/candidates/queue", "data/candidates/badge-round-1"


def params_with(**candidates):
    raw = default_raw()
    raw["candidates"] |= candidates
    return parse_params(raw)


JOINED = [
    params_with(imported={"badge": ROUND}),
    params_with(imported={"badge": [QUEUE, ROUND]}),
    params_with(drawn={}, imported={"badge": [QUEUE, ROUND]}),
]


@pytest.mark.parametrize("candidates", [{}, {"drawn": {}, "imported": {"badge": QUEUE}}], ids=["drawn", "imported"])
def test_a_concept_with_one_source_has_the_graph_and_the_values_that_it_always_had(candidates):
    params, raw = params_with(**candidates), default_raw()["candidates"] | candidates
    # Only the file of what people said is left out: these params name none.
    declared = [replace(stage, inputs={k: v for k, v in stage.inputs.items() if k != "people"}) for stage in STAGES]
    assert list(stages_of(params)) == declared and not params.candidates.are_joined
    assert params.model_dump(mode="json")["candidates"] == raw
    (first, *_) = units_of(params)
    key = f"candidates.{'imported' if candidates else 'drawn'}.badge"
    assert params_of(first, params)[key] == (QUEUE if candidates else 64)
    assert [path.as_posix() for path in first.outputs.values()] == ["candidates/badge"]


@pytest.mark.parametrize("params", JOINED, ids=["drawn and one", "drawn and two", "two"])
def test_several_sources_are_joined_by_one_stage_and_the_graph_has_no_cycle(params):
    made: list = []
    for unit in units_of(params):
        outside = {path for path in unit.inputs.values() if path.as_posix().startswith("data/")}
        assert all(any(path in (out, *out.parents) for out in made) for path in {*unit.inputs.values()} - outside)
        assert not outside or unit.stage.name == "adopt"
        made += unit.outputs.values()
    assert len(made) == len(set(made))
    (adopt,) = (unit for unit in units_of(params) if unit.stage.name == "adopt")
    assert [path.as_posix() for path in adopt.outputs.values()] == ["candidates/badge"]
    sets = list(params.candidates.sets_of("badge"))
    assert [path.as_posix() for path in adopt.inputs.values()] == ["drawn"] * bool(params.candidates.drawn) + sets
    assert params_of(adopt, params) == {"candidates": params.model_dump(mode="json")["candidates"]}


def test_what_is_drawn_keeps_its_params_so_that_its_checkpoints_stay_valid():
    before, after = (next(units_of(params)) for params in (params_with(), JOINED[0]))
    assert (before.address, before.inputs) == (after.address, after.inputs) == ("generate@badge", {})
    assert params_of(before, params_with()) == params_of(after, JOINED[0])
    assert [path.as_posix() for path in after.outputs.values()] == ["drawn/badge"]


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ([], "a list of different paths"),
        ([ROUND, f"{ROUND}/"], "a list of different paths"),
        ([QUEUE, "drawn/badge"], "the pipeline writes to 'drawn/badge'"),
        ([QUEUE, "candidates/badge"], "the pipeline writes to 'candidates/badge'"),
        ([QUEUE, "../elsewhere"], "inside the project"),
    ],
)
def test_a_list_that_cannot_be_is_refused_with_its_key(sets, words):
    with pytest.raises(UserError, match="candidates.imported.badge: ") as raised:
        params_with(imported={"badge": sets})
    assert words in str(raised.value)


def test_a_set_more_is_another_project():
    assert len({params_digest(params) for params in (*JOINED, params_with())}) == 4
