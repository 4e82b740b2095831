"""Check Prefect: server, version, a live worker in each pool of `prefect.yaml`, and deployments after a power cut."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flows.doctor.check import RESPONSE_SECONDS, Finding, with_timeout
from flows.orchestration.deployment import API, server_address
from flows.project.prefect_yaml import PREFECT_YAML, read_entries
from hfi_core.params import Params


def work_pools() -> list[str]:
    """Return the pools that deployments name, each once."""
    pools = (deployment.get("work_pool") for deployment in _deployments())
    return sorted({pool["name"] for pool in pools if isinstance(pool, dict) and pool.get("name")})


def annotation_pages() -> list[str]:
    """Return the addresses of the annotation page that deployments name, each once."""
    parameters = (deployment.get("parameters") for deployment in _deployments())
    return sorted({values["page"] for values in parameters if isinstance(values, dict) and values.get("page")})


def _deployments() -> Iterator[dict[str, Any]]:
    """Yield the entries that have Prefect's form; `hfi deploy` reports the others."""
    yield from (entry for entry in read_entries() if isinstance(entry, dict))


_NAME = "Prefect"
_REMEDY = (
    f"Correct {API}, or start the server: `prefect server start`. If it asks for an account, set "
    "PREFECT_API_AUTH_STRING or PREFECT_API_KEY."
)
LEASES = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"
_MAX_MISSED = 3
"""Heartbeats. A worker that misses more counts as dead, as on Prefect's own server."""
_HEARTBEAT_SECONDS = 30
"""Prefect's default."""


def check(params: Params) -> Iterator[Finding]:
    """Yield findings on server, version, leases and each work pool."""
    address = server_address()
    if not address:
        yield Finding(_NAME, True, f"{API} is not set: each `hfi run` starts a server of its own")
        return
    yield from with_timeout(_NAME, _REMEDY, lambda: _check_server(address))


def _check_server(address: str) -> Iterator[Finding]:
    from packaging.version import Version
    from prefect import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: address}),  # Prefect reads the environment once, when it is imported
        get_client(sync_client=True, httpx_settings={"timeout": RESPONSE_SECONDS}) as client,
    ):
        error = client.api_healthcheck()
        if error is not None:
            yield Finding(_NAME, False, f"no server answers at {address}: {error or type(error).__name__}", _REMEDY)
            return
        client.read_work_pools(limit=1)  # this needs an account, health does not
        yield Finding(_NAME, True, f"{address} answers")
        remote, local = Version(client.api_version()), Version(client.client_version())
        yield Finding(
            "Prefect version",
            remote.major == local.major and remote >= local,
            f"server {remote}, this machine {local}",
            f"Install Prefect {local} or newer of the same major version on the server.",
        )
        yield from _check_leases(client)
        pools = work_pools()
        if not pools:
            yield Finding("work pools", True, f"{PREFECT_YAML} names none")
        for pool in pools:
            yield _check_pool(client, pool)


def _check_leases(client: Any) -> Iterator[Finding]:
    """Check where the server keeps leases of deployments. In memory, a power cut blocks a deployment for ever."""
    from httpx import HTTPStatusError

    try:
        settings = client.request("GET", "/admin/settings").json()
    except HTTPStatusError:  # Prefect Cloud, which keeps them itself
        return
    module = settings["server"]["concurrency"]["lease_storage"]
    yield Finding(
        "Prefect leases", not module.endswith(".memory"), f"leases are kept by {module}",
        f"Start the server with {LEASES}=prefect.server.concurrency.lease_storage.filesystem: after a power cut "
        "deployments would not run any more.",
        needed=False,
    )  # fmt: skip


def _check_pool(client: Any, pool: str) -> Finding:
    from prefect.exceptions import ObjectNotFound

    name = f"work pool {pool}"
    try:
        client.read_work_pool(pool)
        workers = client.read_workers_for_work_pool(pool)
    except ObjectNotFound:
        return Finding(name, False, "is not on the server", "`hfi deploy` creates it.")
    alive = [worker.name for worker in workers if _is_alive(worker)]
    message = f"{len(alive)} alive: {', '.join(alive)}" if alive else f"no worker is alive, of {len(workers)} known"
    return Finding(
        name, bool(alive), message, f"`prefect worker start --pool {pool}` on a machine that has this folder."
    )


def _is_alive(worker: Any) -> bool:
    if worker.last_heartbeat_time is None:
        return False
    silent = (datetime.now(UTC) - worker.last_heartbeat_time).total_seconds()
    return worker.status == "ONLINE" and silent <= _MAX_MISSED * (
        worker.heartbeat_interval_seconds or _HEARTBEAT_SECONDS
    )
