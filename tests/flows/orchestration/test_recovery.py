"""Each `tend` revives the runs of its own deployment, and leaves the signs of life of all others."""

from uuid import UUID

import pytest

from tests.support.deployment import Deployed, deploy, withdraw

_REVIVE = """
from prefect import get_client
from flows.orchestration.recovery import revive
with get_client(sync_client=True) as client:
    print(revive(client, "{deployment}", 0))
"""


@pytest.fixture
def deployed(fake_project, server, quick):
    """A deployed project that nobody works for."""
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
