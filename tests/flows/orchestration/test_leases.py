"""Who holds a deployment's one place survives the server, so that a reboot does not keep the place for ever."""

import json
import re
import signal
import time

import yaml

from flows.doctor import prefect as prefect_server
from flows.doctor.prefect import LEASES
from tests.support import servers
from tests.support.deployment import answered
from tests.support.forking import REAL
from tests.support.projects import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
PAGE = (REPOSITORY / "docs/how-to/deploy.md").read_text()


def _as_the_page_says() -> str:
    (value,) = re.findall(rf"^export {LEASES}=(\S+)$", PAGE, re.MULTILINE)
    return value


def _server(port: int, folder, environment):
    """A server whose home is a folder, looking for what has expired every second."""
    told = {
        LEASES: _as_the_page_says(),
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",  # read on import, so the process must be new
    }  # fmt: skip
    return servers.prefect_server(folder, environment | REAL | told, port)


def _ask(api: str, path: str, **content) -> dict:
    answer = answered("POST", f"{api}/{path}", content)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else {}


def _take_a_place(api: str, deployment: str) -> dict:
    """What the server says to a new run of the deployment that a worker would begin with."""
    run = _ask(api, f"deployments/{deployment}/create_flow_run")["id"]
    return _ask(api, f"flow_runs/{run}/set_state", state={"type": "PENDING"})["state"]


def test_a_server_that_was_killed_knows_who_holds_the_place_and_takes_it_back_from_the_dead(
    tmp_path, fake_environment, prefect_home, inside, monkeypatch
):
    prefect_home(tmp_path)
    port = servers.free_port()
    api = f"http://127.0.0.1:{port}/api"
    with _server(port, tmp_path, fake_environment) as server:
        flow = _ask(api, "flows/", name="tend")["id"]
        options = {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": 60}
        deployment = _ask(
            api, "deployments/", name="one", flow_id=flow, concurrency_limit=1, concurrency_options=options
        )["id"]  # fmt: skip
        held = _take_a_place(api, deployment)
        assert held["type"] == "PENDING"
        server.send_signal(signal.SIGKILL)
        server.wait()
    leases = tmp_path / "concurrency_leases"
    lease = held["state_details"]["deployment_concurrency_lease_id"]
    with _server(port, tmp_path, fake_environment):
        _ask(api, f"v2/concurrency_limits/leases/{lease}/renew", lease_duration=60)  # a run that lives goes on
        assert _take_a_place(api, deployment)["type"] == "CANCELLED"
        monkeypatch.setenv("PREFECT_API_URL", api)
        assert {one.mark for one in prefect_server.check(inside.params) if one.name == "Prefect leases"} == {"ok"}
    # Its minute passes at once, while no server reads the files.
    past = "2020-01-01T00:00:00+00:00"
    holder = json.loads((leases / f"{lease}.json").read_text())
    (leases / f"{lease}.json").write_text(json.dumps(holder | {"expiration": past}))
    (leases / "expirations.json").write_text(json.dumps({lease: past}))
    with _server(port, tmp_path, fake_environment):
        end = time.monotonic() + 60
        while (state := _take_a_place(api, deployment))["type"] != "PENDING":
            assert time.monotonic() < end, [state, *(path.read_text() for path in leases.iterdir())]
            time.sleep(0.5)


def test_compose_keeps_them_on_a_volume():
    prefect = COMPOSE["services"]["prefect"]
    assert prefect["environment"][LEASES] == _as_the_page_says()
    home = prefect["environment"]["PREFECT_HOME"]
    assert [volume for volume in prefect["volumes"] if volume.endswith(f":{home}")]
