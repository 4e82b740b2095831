"""Does the Prefect server answer, in a version that fits, and does a worker live in each pool of `prefect.yaml`?

And do deployments run again after a power cut?
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flows.doctor.check import SECONDS, Finding, with_timeout
from flows.orchestration.deployment import API, PREFECT_YAML, entries
from hfi_core.params import Params


def work_pools() -> list[str]:
    """The pools that deployments name, each once."""
    pools = (one.get("work_pool") for one in _deployments())
    return sorted({pool["name"] for pool in pools if isinstance(pool, dict) and pool.get("name")})


def pages() -> list[str]:
    """The addresses of the annotation page that deployments name, each once."""
    parameters = (one.get("parameters") for one in _deployments())
    return sorted({one["page"] for one in parameters if isinstance(one, dict) and one.get("page")})


def _deployments() -> Iterator[dict[str, Any]]:
    """Those that are of Prefect's form; `hfi deploy` complains about others."""
    yield from (one for one in entries() if isinstance(one, dict))


_NAME = "Prefect"
_MEND = (
    f"Mend {API}, or start the server: `prefect server start`. Where it asks who you are: PREFECT_API_AUTH_STRING or "
    "PREFECT_API_KEY."
)
LEASES = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"
_MISSED = 3
"""Heartbeats, after which a worker counts as dead; as Prefect's own server counts."""
_HEARTBEAT = 30
"""Seconds; Prefect's default."""


def check(params: Params) -> Iterator[Finding]:
    """Findings on server, version, leases and each work pool."""
    address = os.environ.get(API)
    if not address:
        yield Finding(_NAME, True, f"{API} is not set: each `hfi run` starts a server of its own")
        return
    yield from with_timeout(_NAME, _MEND, lambda: _ask(address))


def _ask(address: str) -> Iterator[Finding]:
    from packaging.version import Version
    from prefect import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: address}),  # Prefect reads the environment once, when it is imported
        get_client(sync_client=True, httpx_settings={"timeout": SECONDS}) as client,
    ):
        error = client.api_healthcheck()
        if error is not None:
            yield Finding(_NAME, False, f"no server answers at {address}: {error or type(error).__name__}", _MEND)
            return
        client.read_work_pools(limit=1)  # health is told to anybody; this is not
        yield Finding(_NAME, True, f"{address} answers")
        theirs, ours = Version(client.api_version()), Version(client.client_version())
        yield Finding(
            "Prefect version", theirs.major == ours.major and theirs >= ours, f"server {theirs}, this machine {ours}",
            f"Install Prefect {ours} or newer of the same major version on the server.",
        )  # fmt: skip
        yield from _leases(client)
        pools = work_pools()
        if not pools:
            yield Finding("work pools", True, f"{PREFECT_YAML} names none")
        for pool in pools:
            yield _pool(client, pool)


def _leases(client: Any) -> Iterator[Finding]:
    """Where the server notes who holds a deployment's one place: in memory, a power cut keeps the place for ever."""
    from httpx import HTTPStatusError

    try:
        settings = client.request("GET", "/admin/settings").json()
    except HTTPStatusError:  # Prefect Cloud, which looks after that itself
        return
    module = settings["server"]["concurrency"]["lease_storage"]
    yield Finding(
        "Prefect leases", not module.endswith(".memory"), f"who runs is noted by {module}",
        f"Start the server with {LEASES}=prefect.server.concurrency.lease_storage.filesystem: after a power cut "
        "deployments would not run any more.",
        needed=False,
    )  # fmt: skip


def _pool(client: Any, pool: str) -> Finding:
    from prefect.exceptions import ObjectNotFound

    name = f"work pool {pool}"
    try:
        client.read_work_pool(pool)
        workers = client.read_workers_for_work_pool(pool)
    except ObjectNotFound:
        return Finding(name, False, "is not on the server", "`hfi deploy` makes it.")
    alive = [worker.name for worker in workers if _lives(worker)]
    told = f"{len(alive)} alive: {', '.join(alive)}" if alive else f"no worker is alive, of {len(workers)} known"
    return Finding(name, bool(alive), told, f"`prefect worker start --pool {pool}` on a machine that has this folder.")


def _lives(worker: Any) -> bool:
    if worker.last_heartbeat_time is None:
        return False
    silent = (datetime.now(UTC) - worker.last_heartbeat_time).total_seconds()
    return worker.status == "ONLINE" and silent <= _MISSED * (worker.heartbeat_interval_seconds or _HEARTBEAT)
