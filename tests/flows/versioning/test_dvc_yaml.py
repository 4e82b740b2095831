"""`dvc.yaml` and the declaration of the stages are one graph."""

from pathlib import Path

import pytest
import yaml

from flows.orchestration.plan import make_plan
from flows.project.schema import SCHEMAS, schema_text
from flows.versioning import dvc_yaml
from hfi_core.errors import UserError
from hfi_core.params import load_params
from hfi_core.pipeline import layout
from hfi_core.pipeline.graph import STAGES, units_of
from tests.support.projects import REPOSITORY


def test_the_repositorys_dvc_yaml_is_what_the_declaration_makes():
    params = load_params(REPOSITORY / "params.yaml")
    assert (REPOSITORY / layout.DVC_YAML).read_text() == dvc_yaml.render(params), "run `hfi params sync`"


@pytest.mark.parametrize("path", SCHEMAS, ids=str)
def test_the_repositorys_schemas_are_what_the_params_make(path):
    assert (REPOSITORY / path).read_text() == schema_text(SCHEMAS[path]), "run `hfi params sync`"


def test_dvc_expands_the_templates_to_the_units_of_the_declaration(monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(REPOSITORY)
    units = {unit.address: unit for unit in units_of(load_params(Path("params.yaml")))}
    stages = {stage.addressing: stage for stage in Repo().index.stages}
    assert set(stages) == set(units)
    for address, unit in units.items():
        read = {*unit.inputs.values(), *unit.prompt_files}
        for found, declared in ((stages[address].outs, set(unit.outputs.values())), (stages[address].deps, read)):
            paths = {Path(one.fs_path).relative_to(REPOSITORY) for one in found if one.def_path != "params.yaml"}
            assert paths == declared


def test_every_output_persists_so_that_a_failed_run_leaves_the_earlier_one():
    content = yaml.safe_load(dvc_yaml.render(load_params(REPOSITORY / "params.yaml")))
    for stage in STAGES:
        row = content["stages"][stage.name]
        row = row.get("do", row)
        outputs = [*row.get("outs", []), *row.get("metrics", [])]
        assert len(outputs) == len(stage.outputs)
        assert all(settings == {"persist": True} for output in outputs for settings in output.values())


def test_no_simulated_crowd_gives_no_simulation_in_the_graph(inside):
    from dvc.repo import Repo

    inside.edit(feedback__file="data/feedback/mine.jsonl", feedback__simulated={})
    addresses = {stage.addressing for stage in Repo().index.stages}
    assert "ingest@badge" in addresses
    assert not [address for address in addresses if address.startswith("simulate")]


def test_a_stage_and_a_plot_of_the_projects_own_are_left_alone(inside):
    content = yaml.safe_load(layout.DVC_YAML.read_text())
    content["stages"]["mine"] = {"cmd": "true"}
    content["plots"].append("mine.csv")
    layout.DVC_YAML.write_text(yaml.safe_dump(content))
    dvc_yaml.require_current(inside.params)


@pytest.mark.parametrize("text", ["", "stages: 3", "stages: {generate: {cmd: hfi}}"])
def test_another_dvc_yaml_is_refused_with_the_remedy(inside, text):
    layout.DVC_YAML.write_text(text)
    with pytest.raises(UserError, match="hfi params sync"):
        dvc_yaml.require_current(inside.params)


def test_plots_of_a_concept_or_a_row_by_its_former_name_are_refused_until_a_sync(inside):
    raw = inside.params.model_dump(mode="json")
    for change in (
        {"concepts": {"emblem": raw["concepts"]["badge"]}, "candidates__drawn": {"emblem": 8}},
        {"removals": raw["removals"] | {"second": raw["removals"]["anchored"]}},
    ):
        inside.edit(**change)
        with pytest.raises(UserError, match=r"plots in dvc.yaml are of other .*: run `hfi params sync`"):
            make_plan()
        dvc_yaml.write(inside.params)
        assert make_plan().affected


def test_a_row_that_learns_nothing_has_no_curve_to_plot(inside):
    rows = inside.params.model_dump(mode="json")["removals"]
    nothing = {
        "theirs": {"method": "imported", "source": "theirs.safetensors", "kind": "unet", "digest": f"sha256:{0:064}"},
        "negative": {"method": "negative", "condition": "token"},
        "sld": {"method": "sld", "condition": "token", "strength": "weak"},
    }
    before = dvc_yaml.render(inside.params)
    inside.edit(removals=rows | nothing)
    assert dvc_yaml.render(inside.params) == before
