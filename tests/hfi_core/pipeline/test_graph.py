"""The one declaration of the stages hangs together."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.shards import WHOLE, Shard
from hfi_core.io.json_files import write_json
from hfi_core.params import parse_params
from hfi_core.pipeline.graph import STAGES, params_of, units_of, work_key
from hfi_core.pipeline.stage import StageContext
from hfi_core.progress import no_progress
from tests.support.projects import REPOSITORY, default_raw, small_raw

PARAMS = parse_params(default_raw())


def real_feedback():
    raw = default_raw()
    raw["feedback"] |= {"file": "data/feedback/mine.jsonl", "simulated": {}, "minimum": 1}
    return parse_params(raw)


def two_concepts():
    raw = default_raw()
    raw["concepts"]["kite"] = raw["concepts"]["badge"] | {"text": "kite", "prompts": ["a kite", "a red kite"]}
    raw["candidates"]["drawn"]["kite"] = 8
    return parse_params(raw)


@pytest.mark.parametrize("params", [PARAMS, real_feedback(), two_concepts()], ids=["embedded", "own", "two concepts"])
def test_every_input_is_an_output_of_an_earlier_stage_or_the_feedback_file(params):
    made: list[Path] = []
    for unit in units_of(params):
        for path in unit.inputs.values():
            made_earlier = any(path == output or path in output.parents for output in made)
            assert made_earlier or path == Path(params.feedback.file) and not params.feedback.simulated, path
        made += unit.outputs.values()


@pytest.mark.parametrize("params", [PARAMS, two_concepts()], ids=["embedded", "two concepts"])
def test_no_two_units_write_to_one_place(params):
    outputs = [path for unit in units_of(params) for path in unit.outputs.values()]
    assert len(outputs) == len(set(outputs))
    assert not [(a, b) for a in outputs for b in outputs if a in b.parents]


def test_addresses_are_the_names_that_dvc_gives():
    addresses = [unit.address for unit in units_of(PARAMS)]
    assert len(addresses) == len(set(addresses))
    assert addresses[:2] == ["generate@badge", "simulate@crowd"]
    assert {"distill@anchored", "evaluate@base", "compare", "package"} <= set(addresses)


def test_the_simulation_is_gone_from_the_graph_with_feedback_of_one_s_own():
    units = {unit.address: unit for unit in units_of(real_feedback())}
    assert not any(address.startswith("simulate") for address in units)
    assert units["ingest@badge"].inputs["feedback"] == Path("data/feedback/mine.jsonl")


def test_without_attacks_no_stage_attacks_and_none_reads_what_attacks_make():
    raw = default_raw()
    raw["attacks"], raw["feedback"]["held_out_for_attacks"] = {}, 0
    units = list(units_of(parse_params(raw)))
    assert units and not any(unit.stage.name == "attack" for unit in units)
    assert not any(path.parts[0] == "attacks" for unit in units for path in unit.inputs.values())


def test_paths_stand_under_the_given_root():
    for unit in units_of(PARAMS, Path("root")):
        assert all(path.parts[0] == "root" for path in (*unit.inputs.values(), *unit.outputs.values()))


@pytest.mark.parametrize("unit", list(units_of(two_concepts())), ids=lambda unit: unit.address)
def test_the_params_that_a_unit_reads_exist(unit):
    found = params_of(unit, two_concepts())
    assert len(found) == len(unit.stage.params)
    assert yaml.safe_dump(found)


def test_only_the_units_of_a_changed_concept_see_the_change():
    raw = default_raw()
    raw["concepts"]["kite"] = raw["concepts"]["badge"] | {"text": "kite", "prompts": ["a kite"]}
    raw["candidates"]["drawn"]["kite"] = 8
    before = parse_params(raw)
    raw["candidates"]["drawn"]["kite"] += 1
    raw["concepts"]["kite"]["initial"] = {"objectionable": "boat", "accepted": "kite"}
    after = parse_params(raw)
    changed = {
        unit.address
        for unit in units_of(before)
        if unit.stage.over in ("concepts", "candidates.drawn") and params_of(unit, before) != params_of(unit, after)
    }
    assert changed == {"generate@kite", "invert@kite"}


def test_tracking_changes_no_result():
    raw = default_raw()
    raw["tracking"] = {"mlflow": "sqlite:///elsewhere.db", "experiment": "other"}
    other = parse_params(raw)
    assert all(params_of(unit, PARAMS) == params_of(unit, other) for unit in units_of(PARAMS))


def test_the_key_of_checkpoints_follows_params_inputs_and_nothing_else(tmp_path, miniature):
    raw = small_raw(miniature)
    params = parse_params(raw)
    unit = next(unit for unit in units_of(params, tmp_path) if unit.stage.name == "reward")
    for path in unit.inputs.values():
        write_json(path / "a.json", 1)
    first = work_key(unit, params)
    assert work_key(unit, params) == first
    raw["invert"]["steps"] += 1
    assert work_key(unit, parse_params(raw)) == first
    raw["reward"]["steps"] += 1
    second = work_key(unit, parse_params(raw))
    write_json(unit.inputs["labels"] / "a.json", 2)
    assert len({first, second, work_key(unit, params)}) == 3


def test_names_functions_and_revisions_are_well_formed():
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    for stage in STAGES:
        assert stage.function == f"hfi_core.stages.{stage.name}:run"
        assert stage.revision >= 1
        assert set(stage.metrics) <= set(stage.outputs)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_the_function_of_a_stage_has_the_signature_that_all_have(stage):
    found = inspect.signature(stage.load(), eval_str=True)
    assert list(found.parameters) == ["context"]
    assert found.parameters["context"].annotation is StageContext
    assert found.return_annotation == dict[str, float]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.shards], ids=lambda stage: stage.name)
def test_what_can_be_split_has_the_signature_that_all_have(stage):
    for fill in stage.load_shards():
        found = inspect.signature(fill, eval_str=True)
        assert list(found.parameters) == ["context"]
        assert found.parameters["context"].annotation is StageContext
        assert found.return_annotation is None


def test_a_context_holds_the_unit_and_by_default_neither_checkpoints_nor_shards(project):
    unit = next(units_of(project.params))
    context = unit.context(project.params)
    assert (context.inputs, context.outputs, context.unit) == (unit.inputs, unit.outputs, unit.unit)
    assert context.work is None and context.shard is WHOLE and context.progress is no_progress
    assert unit.context(project.params, outputs={}).outputs == {}


@given(st.integers(0, 40), st.integers(1, 9))
def test_shards_share_every_block_once_and_evenly(blocks, count):
    shares = [Shard(index, count).of(range(blocks)) for index in range(count)]
    assert sorted(block for share in shares for block in share) == list(range(blocks))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.integration
def test_reading_the_graph_imports_no_stage():
    code = "import sys, hfi_core.pipeline.graph; print([m for m in sys.modules if m.startswith('hfi_core.stages.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert found.stdout.strip() == "[]"


def test_the_settings_of_the_intervals_concern_only_what_writes_intervals():
    raw = default_raw()
    before = parse_params(raw)
    changed = {}
    for key, value in (("resamples", 777), ("level", 0.9)):
        after = parse_params(raw | {"evaluate": raw["evaluate"] | {key: value}})
        changed[key] = {u.stage.name for u in units_of(before) if params_of(u, before) != params_of(u, after)}
    assert changed == {"resamples": {"compare"}, "level": {"compare", "package"}}
