"""A deployed project: what tests ask of the server, and the processes of a run."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import httpx
import psutil
import yaml

from flows.project.init import TEMPLATE
from tests.support.flow_fixtures import FakeProject

FLOWS = ("safeguard", "tend", "promotions", "reevaluate")


@dataclass(frozen=True)
class Deployed:
    """A project whose flows are deployed as the guide says, on a real server with a real worker."""

    project: FakeProject
    api: str
    name: str = "safeguard/project"

    def of(self, flow: str) -> "Deployed":
        """The same project's deployment of another flow."""
        return replace(self, name=f"{flow}/project")

    def ask(self, method: str, path: str, **content) -> dict | list:
        """What the server answers."""
        answer = answered(method, f"{self.api}/{path}", content or None)
        assert answer.is_success, answer.text
        return answer.json()

    def start(self, **parameters) -> str:
        """Start a run of the deployment; its id."""
        found = self.ask("GET", f"deployments/name/{self.name}")
        return self.ask("POST", f"deployments/{found['id']}/create_flow_run", parameters=parameters)["id"]

    def state(self, run: str) -> dict:
        """The state of a run."""
        return self.ask("GET", f"flow_runs/{run}")["state"]

    def wait_for(self, run: str, name: str, attempt: int | None = None) -> dict:
        """Wait until a run is in a state (of one attempt, if that is given)."""
        end = time.monotonic() + 300
        while time.monotonic() < end:
            state = self.state(run)
            key = state["state_details"].get("pause_key")
            if state["name"] == name and (attempt is None or key == f"people-{attempt}"):
                return state
            assert name in ("Failed", "Crashed") or state["type"] not in ("FAILED", "CRASHED"), state
            time.sleep(0.3)
        raise AssertionError(f"not {name}: {state}")

    def artifact(self, run: str) -> str:
        """The latest state of the feedback that the run has shown."""
        shown = self.ask("POST", "artifacts/filter", flow_runs={"id": {"any_": [run]}}, sort="CREATED_DESC")
        return next(one["data"] for one in shown if one["key"] == "feedback")


def deploy(
    project: FakeProject, pool: str, environment: Mapping[str, str], parameters: Mapping[str, dict], **schedules: int
) -> str:
    """Send what `hfi deploy` writes, for the small graph, into a pool of the test's own; what the command says."""
    write_deployments(project, pool, parameters, **schedules)
    return project.hfi("deploy", **environment).stdout


def write_deployments(project: FakeProject, pool: str, parameters: Mapping[str, dict], **schedules: int) -> None:
    """Write what `hfi deploy` writes, for the small graph and another pool.

    `schedules` has seconds between the runs of a flow; those that it does not name are started by nobody.
    """
    content = yaml.safe_load((TEMPLATE / "prefect.yaml").read_text().replace("$name", "project"))
    for flow, one in zip(FLOWS, content["deployments"], strict=True):
        assert one["entrypoint"].endswith(f".{flow}")
        one["entrypoint"] = f"tests.support.deployed.{flow}"
        one["work_pool"]["name"] = pool
        one["schedules"] = [{"interval": schedules[flow]}] if flow in schedules else []
        one["parameters"] = one.get("parameters", {}) | parameters.get(flow, {})
    (project.folder / "prefect.yaml").write_text(yaml.safe_dump(content))


def withdraw(environment: Mapping[str, str], name: str = "project") -> None:
    """Take the deployments back, or later tests' workers would have their runs to do."""
    api = environment["PREFECT_API_URL"]
    for flow in FLOWS:
        found = answered("GET", f"{api}/deployments/name/{flow}/{name}")
        if found.status_code != httpx.codes.NOT_FOUND:
            place = f"{api}/deployments/{found.raise_for_status().json()['id']}"
            answered("DELETE", place).raise_for_status()


def answered(method: str, address: str, content: object = None) -> httpx.Response:
    """What the server answers; where its SQLite is locked it says 503, and Prefect's own client asks again, too."""
    for _ in range(60):
        answer = httpx.request(method, address, json=content, timeout=60)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.5)
    return answer


def processes_of(run: str) -> list[int]:
    """The processes of a run: Prefect names it in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended meanwhile, or is not ours
            if any(run in value for value in process.environ().values()):
                found.append(process.pid)
    return found
