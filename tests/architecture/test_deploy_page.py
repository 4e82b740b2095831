"""The commands of the page on deploying, from nothing to a worker that waits for the night."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.deployment import Deployed, withdraw
from tests.support.flow_fixtures import FakeProject
from tests.support.projects import REPOSITORY
from tests.support.waiting import wait_until

PAGE = (REPOSITORY / "docs/how-to/deploy.md").read_text()
CHAIN = "".join(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
BEGIN, SERVER, DEPLOY, WORKER, LOOK = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def typed(server, fake_environment):
    """Runs a block of the page in a folder; the tests' own server stands in for the page's."""

    def run(block: str, folder: Path, **environment: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:4200/api", server)], cwd=folder,
            env=fake_environment | environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def test_a_project_is_begun_deployed_and_looked_at(typed, server, fake_environment, tmp_path):
    environment, worker = {"PREFECT_API_URL": server}, WORKER.split()
    assert SERVER.splitlines()[-1] == "prefect server start", "which the tests have done"
    typed(BEGIN, tmp_path)
    project = FakeProject(tmp_path / "emblems", fake_environment)
    output = typed(DEPLOY, project.folder)
    named = re.findall(r"^\| `(\w+)/NAME` \|", PAGE, re.MULTILINE)
    assert re.findall(r"(\w+)/emblems: deployed", output) == named, "the page names every deployment"
    pool = worker[worker.index("--pool") + 1]
    deployed = Deployed(project, server, "safeguard/emblems")
    try:
        with project.running(*worker, **environment):
            filled = f"work_pools/{pool}/workers/filter"
            wait_until(lambda: any(one["status"] == "ONLINE" for one in deployed.ask("POST", filled)), "a worker")
            assert "All that a run needs is there." in project.hfi("doctor", "--deep", **environment).stdout
        typed(LOOK, project.folder, **environment)  # its doctor still hears the last heartbeat; nobody takes the run
        found = deployed.ask("GET", "deployments/name/safeguard/emblems")
        (run,) = [
            one
            for one in deployed.ask("POST", "flow_runs/filter", deployments={"id": {"any_": [found["id"]]}})
            if not one["auto_scheduled"]
        ]
        assert run["state"]["type"] in ("SCHEDULED", "PENDING")
        _link(project.folder / "prefect.yaml")
        output = project.hfi("deploy", **environment).stdout
        assert set(re.findall(r"(\w+/emblems-end): deployed", output)) == {"safeguard/emblems-end", "tend/emblems-end"}
        assert {"--pool gpu", "--pool safeguard"} <= set(re.findall(r"--pool \w+", output))
        assert deployed.ask("GET", "deployments/name/tend/emblems-end")["parameters"] == {
            "deployment": "safeguard/emblems-end"
        }
    finally:
        withdraw(environment, "emblems")
        withdraw(environment, "emblems-end")


def _link(path: Path) -> None:
    """Put the page's chain in the place of the first two deployments."""
    head, first, second, *rest = re.split(r"^(?=- <<: \*common)", path.read_text(), flags=re.MULTILINE)
    assert "safeguard.safeguard" in first and "maintenance.tend" in second
    path.write_text(head + CHAIN + "\n" + "".join(rest))
