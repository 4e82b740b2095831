"""The Prefect flow: without a server, and with one that people look at."""

import socket
import time

import httpx
import pytest


def test_without_a_server_the_user_sees_our_lines_only(run_by_flow):
    told = run_by_flow.told
    lines = told.stdout.splitlines()
    assert lines[0] == "7 units out of date (of 7)."
    assert "generate@badge: started" in lines
    assert any(line.startswith("package: done in ") for line in lines)
    assert any(line.startswith("Release registered as emblems-safeguarded version 1") for line in lines)
    assert any("mlflow ui --backend-store-uri sqlite:///mlflow.db" in line for line in lines)
    assert "reports/report.html" in told.stdout
    assert told.stderr == ""


@pytest.fixture
def server(fake_project, tmp_path):
    """A real Prefect server; its API's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    api = f"http://127.0.0.1:{port}/api"
    with fake_project.running(*command, PREFECT_HOME=str(tmp_path / "server")):
        for _ in range(400):
            try:
                if httpx.get(f"{api}/health", timeout=5).is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield api


def test_with_a_server_people_see_names_states_and_artifacts(fake_project, server):
    fake_project.hfi("run", PREFECT_API_URL=server, FAKE_UNTRACKED="1")

    def ask(what: str) -> list[dict]:
        return httpx.post(f"{server}/{what}/filter", json={}, timeout=30).json()

    (run,) = ask("flow_runs")
    assert run["name"] == "safeguard emblems (7 units out of date)"
    assert run["state"]["type"] == "COMPLETED"
    tasks = {task["name"]: task for task in ask("task_runs")}
    assert set(tasks) == {*fake_project.ran(), "register emblems-safeguarded"}
    assert {task["state"]["type"] for task in tasks.values()} == {"COMPLETED"}
    artifacts = {artifact["key"]: artifact for artifact in ask("artifacts")}
    assert {"comparison", "report", "release"} <= set(artifacts)
    assert "0.040 [0.030, 0.050]" in artifacts["comparison"]["data"]
