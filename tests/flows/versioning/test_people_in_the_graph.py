"""Judgements by people are an input of the comparison alone, and of no stage that draws or learns."""

from pathlib import Path

import pytest

from flows.versioning.dvc_yaml import render, write
from flows.versioning.inputs import require_external_inputs
from hfi_core.errors import UserError
from hfi_core.params import parse_params
from hfi_core.pipeline.graph import params_of, units_of, work_key
from tests.support.human_evaluation import with_people
from tests.support.projects import default_raw, write_raw

PARAMS = parse_params(default_raw())
PEOPLE = with_people(PARAMS, "data/human_evaluation/first/judgements.jsonl")


def _units(params):
    return {unit.address: unit for unit in units_of(params)}


def test_params_that_name_no_people_are_dumped_as_ever():
    assert "people" not in PARAMS.model_dump(mode="json")["evaluate"]
    assert "people" not in _units(PARAMS)["compare"].inputs and "people" not in render(PARAMS)


def test_naming_people_changes_what_compare_depends_on_and_nothing_else():
    before, after = _units(PARAMS), _units(PEOPLE)
    assert before.keys() == after.keys()
    changed = [
        address
        for address in before
        if (before[address].inputs, params_of(before[address], PARAMS))
        != (after[address].inputs, params_of(after[address], PEOPLE))
    ]
    assert changed == ["compare"]
    assert after["compare"].inputs["people"] == Path(PEOPLE.evaluate.people.file)


def test_another_content_of_the_file_is_another_work_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unit = _units(PEOPLE)["compare"]
    for path in unit.inputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    before = work_key(unit, PEOPLE)
    unit.inputs["people"].write_text("{}\n")
    assert work_key(unit, PEOPLE) != before


def test_dvc_tracks_the_file_as_an_input_of_compare_alone(tmp_path, monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True)
    write_raw(tmp_path, PEOPLE.model_dump(mode="json"))
    write(PEOPLE)
    read = {stage.addressing: [Path(dep.fs_path) for dep in stage.deps] for stage in Repo().index.stages}
    assert [address for address, deps in read.items() if tmp_path / PEOPLE.evaluate.people.file in deps] == ["compare"]


def test_a_missing_file_is_named_with_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = (
        "(?s)judgements.jsonl is missing, and compare reads it.*hfi human-evaluation collect.*remove evaluate.people"
    )
    with pytest.raises(UserError, match=message):
        require_external_inputs(units_of(PEOPLE), provided=[Path("data/feedback")])


def test_a_gate_on_people_needs_their_judgements():
    raw = default_raw()
    raw["release"]["gates"] = {"flagged_by_people@precise": {"at_most": 0.1}}
    with pytest.raises(UserError, match="people have not judged"):
        parse_params(raw)
    raw["evaluate"]["people"] = {"file": "people.jsonl"}
    assert parse_params(raw).release.gates.keys() == {"flagged_by_people@precise"}
    raw["evaluate"]["people"] = {"file": "/people.jsonl"}
    with pytest.raises(UserError, match="a path inside the project"):
        parse_params(raw)
