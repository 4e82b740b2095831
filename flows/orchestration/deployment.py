"""Write `prefect.yaml` if it is missing, create its work pools, and send its deployments to a Prefect server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from flows.project.init import TEMPLATE
from flows.project.prefect_yaml import PREFECT_YAML, describe_renamed_entrypoints, read_entries
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file

API = "PREFECT_API_URL"
_LAST_LINES = 15


def write_missing() -> bool:
    """Write `prefect.yaml` for this project, named after its folder; return False if it is there already."""
    if PREFECT_YAML.exists():
        return False
    text = Template((TEMPLATE / PREFECT_YAML).read_text(encoding="utf-8")).substitute(name=Path.cwd().name)
    with atomic_file(PREFECT_YAML) as beside:
        beside.write_text(text, encoding="utf-8")
    return True


def deploy() -> tuple[list[str], list[str]]:
    """Send the deployments of `prefect.yaml`; return their names ("FLOW/NAME") and the work pools that they need.

    Raises UserError if the file does not have Prefect's form, no server is configured or reachable, or it refuses.
    """
    deployments = list(_deployments())
    pools = sorted({deployment["work_pool"]["name"] for deployment in deployments})
    require_server()
    _create_pools(pools)
    # -P: a project may have a folder `flows` of its own, which is not the package that the entrypoints mean.
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file"]
    command.append(str(PREFECT_YAML))
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        output = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-_LAST_LINES:])
        raise UserError(f"Prefect refuses {PREFECT_YAML}:\n{output}")
    names = [f"{_flow_name(deployment['entrypoint'])}/{deployment['name']}" for deployment in deployments]
    return names, pools


def require_server() -> str:
    """Return the address of the Prefect server's API.

    Raises UserError if no address is configured, or no server answers there.
    """
    address = os.environ.get(API)
    if not address:
        raise UserError(
            f"{API} is not set, so no Prefect server is known.\n"
            f"To fix this: run `prefect server start`, then `export {API}=http://HOST:4200/api`."
        )
    from prefect import get_client

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise UserError(
            f"No Prefect server answers at {address}: {error}.\nTo fix this: start the server, or correct {API}."
        )
    return address


def _deployments() -> Iterator[dict[str, Any]]:
    entries = read_entries()
    if not entries:
        raise UserError(f"{PREFECT_YAML} has no list `deployments`.")
    if renamed := describe_renamed_entrypoints():
        raise UserError("\n".join([*renamed, "To fix this: change these lines, then run `hfi deploy` again."]))
    for number, entry in enumerate(entries, 1):
        pool = entry.get("work_pool") if isinstance(entry, dict) else None
        if not (isinstance(pool, dict) and pool.get("name") and entry.get("name") and entry.get("entrypoint")):
            raise UserError(f"{PREFECT_YAML}: deployment {number} needs name, entrypoint and work_pool.name.")
        yield entry


def _create_pools(names: list[str]) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for name in names:
            try:
                client.read_work_pool(name)
            except ObjectNotFound:
                client.create_work_pool(WorkPoolCreate(name=name, type="process"))


def _flow_name(entrypoint: str) -> str:
    from prefect.flows import load_flow_from_entrypoint

    return load_flow_from_entrypoint(entrypoint).name
