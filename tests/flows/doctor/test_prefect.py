"""Prefect: up, down and wrong; a worker counts as alive while its heart beats."""

import os
import signal

import httpx
import pytest
import yaml

from flows.doctor import prefect
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support.servers import free_port
from tests.support.waiting import wait_until

POOL = "doctored"
NAME = f"work pool {POOL}"


@pytest.fixture
def check_server(inside, params_with, monkeypatch):
    """Check a server, with one pool in `prefect.yaml`."""
    (inside.folder / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [{"work_pool": {"name": POOL}}]}))

    def call(address: str):
        monkeypatch.setenv("PREFECT_API_URL", address)
        return prefect.check(params_with())

    return call


def test_without_an_address_each_run_has_a_server_of_its_own(params_with, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert verdicts(prefect.check(params_with())) == {"Prefect": "ok"}


def test_a_pool_must_be_there_with_a_worker_that_lives(inside, check_server, server, quick):
    answers = {"Prefect": "ok", "Prefect version": "ok", "Prefect leases": "note"}
    found = by_name(check_server(server))
    assert {name: finding.mark for name, finding in found.items()} == answers | {NAME: "FAILED"}
    assert "is not on the server" in found[NAME].message
    assert "lease_storage.filesystem" in found["Prefect leases"].remedy

    httpx.post(f"{server}/work_pools/", json={"name": POOL, "type": "process"}).raise_for_status()
    found = by_name(check_server(server))[NAME]
    assert found.mark == "FAILED" and "no worker is alive, of 0" in found.message

    command = ("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "Ana's")
    with inside.running(*command, PREFECT_WORKER_HEARTBEAT_SECONDS="1", **quick) as worker:
        wait_until(lambda: by_name(check_server(server))[NAME].ok, "the worker says that it is there")
        assert by_name(check_server(server))[NAME].message == "1 alive: Ana's"
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not by_name(check_server(server))[NAME].ok, "its heart beats no more")
        assert "no worker is alive, of 1" in by_name(check_server(server))[NAME].message


def test_one_that_is_down_or_another_s_fails(check_server, server, s3_port):
    for address in (f"http://127.0.0.1:{free_port()}/api", f"http://127.0.0.1:{s3_port}/api"):
        (found,) = by_name(check_server(address)).values()
        assert found.mark == "FAILED" and "PREFECT_API_URL" in found.remedy


def test_a_server_that_is_older_than_this_machine_fails(check_server, server, monkeypatch):
    from prefect.client.orchestration import SyncPrefectClient

    monkeypatch.setattr(SyncPrefectClient, "client_version", lambda _: "3.999.0")
    assert verdicts(check_server(server))["Prefect version"] == "FAILED"
