"""The Prefect flow: without a server, and with one that people look at."""

import base64

import httpx
from mlflow.tracking import MlflowClient

from hfi_core.pipeline.layout import BANNER


def test_without_a_server_the_user_sees_our_lines_only(run_by_flow):
    result = run_by_flow.result
    lines = result.stdout.splitlines()
    assert lines[0] == "7 units out of date (of 7)."
    assert "generate@badge: started" in lines
    assert any(line.startswith("package: done in ") for line in lines)
    assert any(line.startswith("Release registered as emblems-safeguarded version 1") for line in lines)
    assert any("mlflow ui --backend-store-uri sqlite:///mlflow.db" in line for line in lines)
    assert "reports/report.html" in result.stdout
    assert result.stderr == ""


def test_with_a_server_people_see_names_states_and_artifacts(fake_project, server):
    fake_project.edit(tracking__experiment="looked-at")  # other tests' runs are on the same server
    fake_project.hfi("run", PREFECT_API_URL=server, HFI_MLFLOW_UI="https://mlflow.example.org/")

    def ask(what: str, **wanted) -> list[dict]:
        return httpx.post(f"{server}/{what}/filter", json=wanted, timeout=30).json()

    name = "safeguard looked-at (7 units out of date)"
    (run,) = ask("flow_runs", flow_runs={"name": {"any_": [name]}})
    assert run["state"]["type"] == "COMPLETED"
    of_run = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    tasks = {task["name"]: task for task in ask("task_runs", **of_run)}
    assert set(tasks) == {*fake_project.ran(), "register emblems-safeguarded"}
    assert {task["state"]["type"] for task in tasks.values()} == {"COMPLETED"}
    artifacts = {artifact["key"]: artifact for artifact in ask("artifacts", **of_run)}
    assert set(artifacts) >= {"comparison", "report", "release", "mlflow", "pictures"}
    assert "0.040 [0.030, 0.050]" in artifacts["comparison"]["data"]
    client = MlflowClient(f"sqlite:///{fake_project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("looked-at").experiment_id
    (parent,) = client.search_runs([experiment], "attributes.run_name = 'safeguard (7 units out of date)'")
    page = f"https://mlflow.example.org/#/experiments/{experiment}/runs/{parent.info.run_id}"
    assert artifacts["mlflow"]["data"] == f"[Run in MLflow]({page})"
    assert artifacts["pictures"]["type"] == "image"
    picture = artifacts["pictures"]["data"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(picture) == (fake_project.folder / BANNER).read_bytes()
