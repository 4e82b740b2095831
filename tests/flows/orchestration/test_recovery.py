"""Each `tend` revives the runs of its own deployment, and leaves the signs of life of all others."""

import os
import signal
from contextlib import suppress
from uuid import UUID

import pytest

from tests.support.deployment import Deployed, deploy, processes_of, withdraw
from tests.support.fakes import STEPS
from tests.support.waiting import wait_until

WORKER = ("prefect", "worker", "start", "--pool", "unattended", "--type", "process")
SLOW = "generate@badge"

_REVIVE = """
from prefect import get_client
from flows.orchestration.recovery import revive
with get_client(sync_client=True) as client:
    print(revive(client, "{deployment}", 0))
"""


@pytest.fixture
def deployed(fake_project, server, quick):
    """A deployed project; only a test that starts a worker has one."""
    deploy(fake_project, "unattended", quick, {})
    yield Deployed(fake_project, server)
    withdraw(quick)


def test_a_dead_run_of_another_deployment_is_left_for_that_one_s_pass(deployed, quick):
    project, run = deployed.project, deployed.start()
    for state in ("PENDING", "RUNNING"):
        deployed.ask("POST", f"flow_runs/{run}/set_state", state={"type": state}, force=True)
    locks = project.folder / ".hfi/runs"
    locks.mkdir(parents=True)
    (locks / run).touch()  # nobody holds it
    (locks / str(UUID(int=7))).touch()  # of a run that the server has forgotten

    def revived(deployment: str) -> str:
        return project.call("python", "-c", _REVIVE.format(deployment=deployment), **quick).stdout.strip()

    assert revived("tend/project") == "[]"
    assert [path.name for path in locks.iterdir()] == [run]
    assert revived(deployed.name) != "[]"
    assert deployed.state(run)["type"] == "SCHEDULED"


def test_a_crashed_run_whose_process_died_is_scheduled_again_once(deployed, quick):
    project = deployed.project
    locks = project.folder / ".hfi/runs"
    locks.mkdir(parents=True)
    run, never_began = deployed.start(), deployed.start()

    def crash(run: str) -> None:
        for state in ("PENDING", "RUNNING", "CRASHED"):
            deployed.ask("POST", f"flow_runs/{run}/set_state", state={"type": state}, force=True)

    def revived(deployment: str) -> str:
        return project.call("python", "-c", _REVIVE.format(deployment=deployment), **quick).stdout.strip()

    crash(run), crash(never_began)
    (locks / run).touch()  # its process held it
    assert revived("tend/project") == "[]", "another deployment's pass leaves it"
    assert revived(deployed.name) != "[]"
    assert (deployed.state(run)["type"], deployed.state(never_began)["type"]) == ("SCHEDULED", "CRASHED")
    crash(run)
    (locks / run).touch()
    assert revived(deployed.name) == "[]", "what crashes again would crash for ever"
    assert deployed.state(run)["type"] == "CRASHED" and not list(locks.iterdir())


@pytest.mark.parametrize("with_worker", [False, True], ids=["run", "run-and-worker"])
def test_a_run_whose_process_was_killed_goes_on_after_a_pass_of_tend(deployed, quick, with_worker):
    """As by the kernel that is out of memory: it kills the process of the run, or all of the worker's."""
    project, environment = deployed.project, quick | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    with project.running(*WORKER, FAKE_SLOW=SLOW, **environment) as worker:
        run = deployed.start(until="generate")
        wait_until(lambda: SLOW in project.ran(), "it takes its first step")
        for pid in [worker.pid] * with_worker + processes_of(run):  # the worker first: it would say that its run died
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not with_worker:
            deployed.wait_for(run, "Crashed")
    with project.running(*WORKER, **environment):
        name = deployed.ask("GET", f"flow_runs/{run}")["name"]
        tend = project.call("tend-once", deployed.name, "1", "0.5", **quick)
        assert tend.stdout.strip() == f"scheduled again: {name}"
        deployed.wait_for(run, "Completed")
    steps = (project.folder / "ran.log").read_text().splitlines()
    assert len(steps) == STEPS and len(set(steps)) == STEPS, "no step was taken twice"
    assert project.call("tend-once", deployed.name, "1", **quick).stdout.strip() == "Nothing to do."
    assert not list((project.folder / ".hfi/runs").iterdir())
