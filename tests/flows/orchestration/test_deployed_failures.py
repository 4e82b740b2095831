"""What Prefect's UI shows of a deployed run: its failure, our own lines, and that it waits for the project."""

from collections.abc import Iterator

import httpx
import pytest
from filelock import FileLock

from tests.support.deployment import Deployed, answered, deploy, withdraw, write_deployments
from tests.support.waiting import wait_until

WORKER = ("prefect", "worker", "start", "--pool", "shown", "--type", "process")


@pytest.fixture
def sent(fake_project, server, quick) -> Iterator[Deployed]:
    """A deployed project that nobody works for."""
    deploy(fake_project, "shown", quick, {})
    yield Deployed(fake_project, server)
    withdraw(quick)


@pytest.fixture
def deployed(sent, quick, listener) -> Iterator[Deployed]:
    """A deployed project with a worker that has the address of a webhook."""
    environment = {"PREFECT_WORKER_QUERY_SECONDS": "1", "HFI_FAILURE_WEBHOOK": listener.address}
    with sent.project.running(*WORKER, **environment, **quick):
        yield sent


def _log(deployed: Deployed, run: str) -> list[str]:
    lines = deployed.ask("POST", "logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC")
    return [line["message"] for line in lines]


def test_a_mistake_in_the_params_is_the_message_of_the_failed_run_and_of_the_webhook(deployed, listener):
    deployed.project.edit(reward__steps=-7)
    run = deployed.start(until="generate")
    state = deployed.wait_for(run, "Failed")
    assert "reward.steps" in state["message"] and "UserError" in state["message"], state
    wait_until(lambda: listener.heard, "the webhook hears of it")
    assert [(posted["flow"], posted["run_id"], posted["state"]) for posted in listener.heard] == [
        ("safeguard", run, "Failed")
    ]
    assert listener.heard[0]["message"] == state["message"] and state["message"] in listener.heard[0]["text"]


def test_the_log_of_a_run_has_each_line_of_ours_once_and_the_name_has_the_plan(deployed):
    run = deployed.start(until="generate")
    deployed.wait_for(run, "Completed")
    wait_until(lambda: [line for line in _log(deployed, run) if line.startswith("generate@badge: done in")], "its log")
    assert _log(deployed, run).count("generate@badge: started") == 1
    assert deployed.ask("GET", f"flow_runs/{run}")["name"] == "safeguard emblems (1 unit out of date)"


def test_a_run_that_waits_for_the_project_says_so(deployed):
    (deployed.project.folder / ".hfi").mkdir(exist_ok=True)
    with FileLock(deployed.project.folder / ".hfi/lock"):
        run = deployed.start(until="generate")
        wait_until(lambda: "another `hfi` command" in (deployed.state(run)["message"] or ""), "it says so")
        assert deployed.state(run)["type"] == "RUNNING"
        wait_until(lambda: any("Another `hfi` command is running" in line for line in _log(deployed, run)), "its log")
    deployed.wait_for(run, "Completed")


@pytest.mark.parametrize(
    ("flow", "parameters"),
    [("safeguard", {"untill": "generate"}), ("tend", {"grce": 3}), ("promotions", {"version": 1})],
)
def test_an_unknown_parameter_is_refused_by_name(sent, flow, parameters):
    deployment = sent.ask("GET", f"deployments/name/{flow}/project")
    place = f"{sent.api}/deployments/{deployment['id']}/create_flow_run"
    refusal = answered("POST", place, {"parameters": parameters})
    assert refusal.status_code == httpx.codes.CONFLICT and next(iter(parameters)) in refusal.text


def test_an_unknown_parameter_in_the_file_is_named_before_anything_is_sent(fake_project):
    write_deployments(fake_project, "shown", {"tend": {"grce": 3}})
    message = fake_project.hfi("deploy", code=2, PREFECT_API_URL="http://127.0.0.1:9/api").stderr
    assert "deployment 2" in message and "'grce'" in message and "judgements" in message
