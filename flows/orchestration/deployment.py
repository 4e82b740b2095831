"""`prefect.yaml` to a Prefect server: written where it is missing, its work pools made, its deployments sent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from flows.project.init import TEMPLATE
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.io.yaml_files import read_yaml

PREFECT_YAML = Path("prefect.yaml")
API = "PREFECT_API_URL"
_LAST_LINES = 15


def write_missing() -> bool:
    """Write `prefect.yaml` for the project here, named after its folder, if there is none; whether there was none."""
    if PREFECT_YAML.exists():
        return False
    text = Template((TEMPLATE / PREFECT_YAML).read_text(encoding="utf-8")).substitute(name=Path.cwd().name)
    with atomic_file(PREFECT_YAML) as beside:
        beside.write_text(text, encoding="utf-8")
    return True


def deploy() -> tuple[list[str], list[str]]:
    """Send the deployments of `prefect.yaml`; their names as runs are started by, and the work pools they need.

    Raises UserError if the file is none of Prefect's, no server is named or reachable, or the server refuses.
    """
    deployments = list(_deployments())
    pools = sorted({one["work_pool"]["name"] for one in deployments})
    require_server()
    _make_pools(pools)
    # -P: a project may have a folder `flows` of its own, which is not the package that the entrypoints mean.
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", PREFECT_YAML]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        said = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-_LAST_LINES:])
        raise UserError(f"Prefect refuses {PREFECT_YAML}:\n{said}")
    return [f"{_flow_name(one['entrypoint'])}/{one['name']}" for one in deployments], pools


def require_server() -> str:
    """The address of the Prefect server's API.

    Raises UserError if none is named, or none answers there.
    """
    address = os.environ.get(API)
    if not address:
        raise UserError(f"No Prefect server is named: `export {API}=http://HOST:4200/api` (`prefect server start`).")
    from prefect import get_client

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise UserError(f"No Prefect server answers at {address}: {error}. Start it, or mend {API}.")
    return address


def entries() -> list[Any]:
    """What `prefect.yaml` lists as its deployments, as it stands; nothing where it is missing or lists none.

    Raises UserError for a file that cannot be read.
    """
    content = read_yaml(PREFECT_YAML) if PREFECT_YAML.exists() else None
    found = content.get("deployments") if isinstance(content, dict) else None
    return found if isinstance(found, list) else []


def _deployments() -> Iterator[dict[str, Any]]:
    found = entries()
    if not found:
        raise UserError(f"{PREFECT_YAML} holds no list `deployments`.")
    for number, one in enumerate(found, 1):
        pool = one.get("work_pool") if isinstance(one, dict) else None
        if not (isinstance(pool, dict) and pool.get("name") and one.get("name") and one.get("entrypoint")):
            raise UserError(f"{PREFECT_YAML}: deployment {number} needs name, entrypoint and work_pool.name.")
        yield one


def _make_pools(names: list[str]) -> None:
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
