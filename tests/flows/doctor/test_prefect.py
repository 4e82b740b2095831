"""Prefect: up, down and wrong; a worker counts as alive while its heart beats."""

import os
import signal

import httpx
import pytest
import yaml

from flows.doctor import prefect
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support.deployment import wait_until
from tests.support.servers import free_port

POOL = "doctored"
NAME = f"work pool {POOL}"


@pytest.fixture
def look(inside, params_with, monkeypatch):
    """Look at a server, with one pool in `prefect.yaml`."""
    (inside.folder / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [{"work_pool": {"name": POOL}}]}))

    def call(address: str):
        monkeypatch.setenv("PREFECT_API_URL", address)
        return prefect.check(params_with())

    return call


def test_without_an_address_each_run_has_a_server_of_its_own(params_with, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert verdicts(prefect.check(params_with())) == {"Prefect": "ok"}


def test_a_pool_must_be_there_with_a_worker_that_lives(inside, look, server, quick):
    answers = {"Prefect": "ok", "Prefect version": "ok", "Prefect leases": "note"}
    found = by_name(look(server))
    assert {name: one.mark for name, one in found.items()} == answers | {NAME: "FAILED"}
    assert "is not on the server" in found[NAME].told
    assert "lease_storage.filesystem" in found["Prefect leases"].remedy

    httpx.post(f"{server}/work_pools/", json={"name": POOL, "type": "process"}).raise_for_status()
    found = by_name(look(server))[NAME]
    assert found.mark == "FAILED" and "no worker is alive, of 0" in found.told

    command = ("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "Ana's")
    with inside.running(*command, PREFECT_WORKER_HEARTBEAT_SECONDS="1", **quick) as worker:
        wait_until(lambda: by_name(look(server))[NAME].well, "the worker says that it is there")
        assert by_name(look(server))[NAME].told == "1 alive: Ana's"
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not by_name(look(server))[NAME].well, "its heart beats no more")
        assert "no worker is alive, of 1" in by_name(look(server))[NAME].told


def test_one_that_is_down_or_another_s_fails(look, server, s3_port):
    for address in (f"http://127.0.0.1:{free_port()}/api", f"http://127.0.0.1:{s3_port}/api"):
        (found,) = by_name(look(address)).values()
        assert found.mark == "FAILED" and "PREFECT_API_URL" in found.remedy


def test_a_server_that_is_older_than_this_machine_fails(look, server, monkeypatch):
    from prefect.client.orchestration import SyncPrefectClient

    monkeypatch.setattr(SyncPrefectClient, "client_version", lambda _: "3.999.0")
    assert verdicts(look(server))["Prefect version"] == "FAILED"
