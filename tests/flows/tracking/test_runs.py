"""MLflow holds a run for each unit that really ran, and no result depends on it."""

import json
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient

from flows.tracking.client import get_or_create_experiment
from hfi_core.errors import UserError

TIED = "hfi.pipeline"


def _runs(project) -> dict:
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("emblems")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def _files(project, run) -> set[str]:
    root = project.folder / "mlruns" / run.info.experiment_id / run.info.run_id / "artifacts"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_the_flow_records_one_parent_and_one_nested_run_a_unit(run_by_flow):
    project = run_by_flow.project
    runs = _runs(project)
    (parent,) = [run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.run_name == "safeguard (7 units out of date)"
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["flagged/broad"] == 0.04
    assert set(runs) - {parent.info.run_name} == {*project.ran(), "register"}
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in runs.values() if run is not parent)


def test_a_run_holds_params_metrics_with_steps_files_and_digests(run_by_flow):
    project = run_by_flow.project
    run = _runs(project)["distill@anchored"]
    assert run.data.params["reward.steps"] == "400"
    assert run.data.params["removals.anchored.method"] == "anchored"
    assert run.data.metrics["flagged/broad"] == 0.25
    assert run.data.metrics["cost/seconds"] > 0
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    assert [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")] == [
        (0, 0.5),
        (1, 0.25),
    ]
    assert "outputs/anchored/content.json" in _files(project, run)
    data = {entry.dataset.name: entry for entry in run.inputs.dataset_inputs}
    assert set(data) == {"labels", "models/anchored"}
    assert len(json.loads(data["labels"].dataset.source)["sha256"]) == 64
    contexts = {name: entry.tags[0].value for name, entry in data.items()}
    assert contexts == {"labels": "input", "models/anchored": "output"}


def test_dvc_records_one_run_a_stage_tied_by_a_tag(run_by_dvc):
    runs = _runs(run_by_dvc.project)
    assert set(runs) == set(run_by_dvc.project.ran())
    assert len({run.data.tags[TIED] for run in runs.values()}) == 1
    assert not [run for run in runs.values() if "mlflow.parentRunId" in run.data.tags]


def test_a_store_out_of_reach_warns_and_loses_nothing(fake_project):
    fake_project.edit(tracking__mlflow="sqlite:////dev/null/runs.db")
    result = fake_project.hfi("stage", "generate", "--unit", "badge", "--revision", "1")
    assert "MLflow could not record generate@badge" in result.stderr
    assert "Traceback" not in result.stderr
    assert "candidates/badge/content.json" in fake_project.outputs()


def test_cost_is_kept_outside_the_graph(run_by_flow):
    project = run_by_flow.project
    cost = json.loads((project.folder / "reports/cost.json").read_text())
    assert [row["unit"] for row in cost["runs"]] == project.ran()
    assert all(row["seconds"] > 0 and row["peak_memory_bytes"] > 2**20 for row in cost["runs"])
    assert "cost.json" not in (project.folder / "dvc.yaml").read_text()


def test_an_experiment_that_was_deleted_in_mlflow_is_said_with_how_to_restore_it(tmp_path):
    params = _params(f"sqlite:///{tmp_path}/mlflow.db")
    client = MlflowClient(params.tracking.mlflow)
    number = get_or_create_experiment(client, params.tracking)
    client.delete_experiment(number)
    with pytest.raises(UserError, match=f"restore --experiment-id {number}"):
        get_or_create_experiment(client, params.tracking)


def _params(address: str) -> SimpleNamespace:
    return SimpleNamespace(tracking=SimpleNamespace(mlflow=address, experiment="emblems"))
