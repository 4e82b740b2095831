"""`hfi deploy` on a real server: the schedule fires, a killed worker's run is picked up, and the rest finds nothing."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from flows.project.init import TEMPLATE
from tests.support.deployment import FLOWS, Deployed, deploy, processes_of, withdraw, write_deployments
from tests.support.fakes import STEPS
from tests.support.projects import REPOSITORY
from tests.support.waiting import wait_until

NAME = "safeguard/project"
SLOW = "distill@anchored"
WORKER = ("prefect", "worker", "start", "--pool", "nightly", "--type", "process")


@pytest.fixture
def deployed(fake_project, server, quick, tmp_path) -> Iterator[Deployed]:
    """What `hfi deploy` writes, sent, without schedules; no worker yet. Its runs are recorded on a branch."""
    project = fake_project
    project.call("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    project.edit(versioning={"commit": "branch", "branch": "hfi/results", "push": "store"})
    project.call("git", "commit", "-qam", "Ask for records")
    output = deploy(project, "nightly", quick, {})
    assert all(f"{flow}/project: deployed" in output for flow in FLOWS)
    assert "prefect worker start --pool nightly" in output
    yield Deployed(project, server)
    withdraw(quick)


def _runs(deployed: Deployed, *types: str) -> list[dict]:
    deployment = deployed.ask("GET", f"deployments/name/{deployed.name}")
    wanted = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": list(types)}}}
    return deployed.ask("POST", "flow_runs/filter", flow_runs=wanted, sort="START_TIME_ASC")


def _kill(process, run: str) -> None:
    """End worker and run as a power cut would."""
    for pid in [process.pid, *processes_of(run)]:  # the worker first: it would say that its run died
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.soak  # it fires every few seconds, which a machine that does other things cannot follow
def test_a_scheduled_run_whose_worker_was_killed_is_picked_up_and_the_next_finds_nothing_to_do(
    deployed, quick, run_by_dvc
):
    project, environment = deployed.project, quick | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    deploy(project, "nightly", quick, {"tend": {"grace": 0.5}}, safeguard=5, tend=5)
    with project.running(*WORKER, FAKE_SLOW=SLOW, **environment) as worker:
        wait_until(lambda: SLOW in project.ran(), "the schedule fires")
        (run,) = _runs(deployed, "RUNNING")
        _kill(worker, run["id"])
    assert deployed.state(run["id"])["name"] == "Running", "nobody was left to say that it is dead"

    with project.running(*WORKER, **environment):
        deployed.wait_for(run["id"], "Completed")
        wait_until(lambda: len(_runs(deployed, "COMPLETED")) > 1, "the schedule fires again")
    assert project.outputs() == run_by_dvc.project.outputs()
    lines = (project.folder / "ran.log").read_text().splitlines()
    assert set(Counter(line.split()[0] for line in lines).values()) == {STEPS}, "no step was taken twice"
    assert [run["state"]["type"] for run in _runs(deployed, "FAILED", "CRASHED")] == []
    log = project.call("git", "log", "--format=%s", "hfi/results").stdout.splitlines()
    assert log == ["Record results of emblems", "Ask for records", "Begin"], "recorded once"
    assert project.call("git", "status", "--porcelain").stdout.split() == ["??", "dvc.lock", "??", "prefect.yaml"]


def test_the_server_refuses_parameters_that_mean_nothing(deployed):
    deployment = deployed.ask("GET", f"deployments/name/{NAME}")
    for wrong in ({"until": "nonsense"}, {"wait_days": -1}, {"page": "javascript:x"}, {"hours": 0}):
        answer = httpx.post(
            f"{deployed.api}/deployments/{deployment['id']}/create_flow_run", json={"parameters": wrong}, timeout=30
        )
        assert answer.status_code in (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY), wrong


def test_the_repository_s_own_file_is_the_template():
    assert (REPOSITORY / "prefect.yaml").read_text() == (TEMPLATE / "prefect.yaml").read_text().replace(
        "$name", "emblems"
    )


def test_without_a_server_it_says_how_to_name_one(fake_project):
    (fake_project.folder / "prefect.yaml").unlink(missing_ok=True)
    assert "PREFECT_API_URL" in fake_project.hfi("deploy", code=2).stderr
    output = fake_project.hfi("deploy", code=2, PREFECT_API_URL="http://127.0.0.1:9/api").stderr
    assert "No Prefect server answers at http://127.0.0.1:9/api" in output


def test_a_file_that_is_none_of_prefect_s_is_named(fake_project):
    (fake_project.folder / "prefect.yaml").write_text("deployments: [{name: one}]\n")
    output = fake_project.hfi("deploy", code=2, PREFECT_API_URL="http://127.0.0.1:9/api").stderr
    assert "deployment 1 needs name, entrypoint and work_pool.name" in output


def test_a_run_hands_over_to_the_deployment_that_follows_it(deployed, quick):
    project = deployed.project
    after = Deployed(project, deployed.api, "promotions/project")
    with project.running(*WORKER, PREFECT_WORKER_QUERY_SECONDS="1", **quick):
        run = deployed.start(until="generate", then=after.name)
        deployed.wait_for(run, "Completed")
        (follower,) = _runs(after, "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED")
    assert "followed" in follower["tags"]
    (shown,) = [
        artifact
        for artifact in deployed.ask("POST", "artifacts/filter", flow_runs={"id": {"any_": [run]}})
        if artifact["key"] == "record"
    ]
    commit = project.call("git", "rev-parse", "hfi/results").stdout
    assert shown["data"] == f"`hfi/results: {commit[:12]}; data in 'store'`"
    assert project.ran() == ["generate@badge"]


def test_a_server_in_prefect_s_profile_or_file_is_found_by_deploy_and_doctor(fake_project, server, quick, tmp_path):
    (fake_project.folder / "prefect.toml").write_text(f'[api]\nurl = "{server}"\n')
    write_deployments(fake_project, "toml", {})
    assert "safeguard/project: deployed" in fake_project.hfi("deploy").stdout
    withdraw(quick)
    assert f"{server} answers" in fake_project.hfi("doctor", "--deep", code=None).stdout
    (fake_project.folder / "prefect.toml").unlink()

    home = fake_project.environment["PREFECT_HOME"]
    profiles = Path(home) / "profiles.toml"
    profiles.write_text('active = "here"\n[profiles.here]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n')
    try:
        assert "No Prefect server answers at http://127.0.0.1:9/api" in fake_project.hfi("deploy", code=2).stderr
    finally:
        profiles.unlink()


def test_a_second_clone_takes_deployments_over_only_when_it_is_told(deployed, quick, tmp_path):
    first = deployed.project
    clone = replace(first, folder=Path(shutil.copytree(first.folder, tmp_path / "clone")))
    message = clone.hfi("deploy", code=2, **quick).stderr
    assert str(first.folder) in message and "hfi deploy --take-over" in message
    first.hfi("deploy", **quick)
    assert "safeguard/project: deployed" in clone.hfi("deploy", "--take-over", **quick).stdout
