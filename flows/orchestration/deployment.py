"""Write `prefect.yaml` if it is missing, create its work pools, and send its deployments to a Prefect server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.project.init import TEMPLATE, fill_template
from flows.project.prefect_yaml import PREFECT_YAML, describe_renamed_entrypoints, read_entries
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file

API = "PREFECT_API_URL"
_LAST_LINES = 15


def write_missing() -> bool:
    """Write `prefect.yaml` for this project, named after its folder; return False if it is there already."""
    if PREFECT_YAML.exists():
        return False
    text = fill_template(TEMPLATE / PREFECT_YAML, {"name": Path.cwd().name})
    with atomic_file(PREFECT_YAML) as beside:
        beside.write_text(text, encoding="utf-8")
    return True


def deploy(take_over: bool = False) -> tuple[list[str], list[str]]:
    """Send the deployments of `prefect.yaml`; return their names ("FLOW/NAME") and the work pools that they need.

    `take_over` replaces deployments of these names even if their runs work in another folder.

    Raises UserError if the file does not have Prefect's form, no server is configured or reachable, or it refuses.
    """
    deployments = list(_deployments())
    pools = sorted({deployment["work_pool"]["name"] for deployment in deployments})
    for number, deployment in enumerate(deployments, 1):
        _require_known_parameters(number, deployment)
    require_server()
    if not take_over:
        _require_own(deployments)
    _create_pools(pools)
    # -P: a project may have a folder `flows` of its own, which is not the package that the entrypoints mean.
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file"]
    command.append(str(PREFECT_YAML))
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        output = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-_LAST_LINES:])
        raise UserError(f"Prefect refuses {PREFECT_YAML}:\n{output}")
    names = [_full_name(deployment) for deployment in deployments]
    _refuse_unknown_parameters(names)
    return names, pools


def server_address() -> str | None:
    """Return the address of the Prefect server's API as a run finds it; None if no server is configured.

    It is in the environment, in `prefect.toml`, or in Prefect's profile.
    """
    from prefect.settings import get_current_settings

    # Prefect reads the environment when it is imported; this process may have changed it since.
    return os.environ.get(API) or get_current_settings().api.url


def require_server() -> str:
    """Return the address of the Prefect server's API.

    Raises UserError if no address is configured, or no server answers there.
    """
    address = server_address()
    if not address:
        raise UserError(
            f"{API} is not set, neither in the environment nor in prefect.toml or Prefect's profile, so no Prefect "
            "server is known.\n"
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


def _require_known_parameters(number: int, deployment: dict[str, Any]) -> None:
    from prefect.flows import load_flow_from_entrypoint

    try:
        known = load_flow_from_entrypoint(deployment["entrypoint"]).parameters.properties
    except Exception:  # no such flow: `prefect deploy` says so
        return
    if unknown := [name for name in deployment.get("parameters") or {} if name not in known]:
        raise UserError(
            f"{PREFECT_YAML}: deployment {number} ({deployment['entrypoint']}) has the parameter {unknown[0]!r}, which "
            f"its flow does not have.\nTo fix this: remove it, or write one of {', '.join(known) or '(none)'}."
        )


def _refuse_unknown_parameters(names: list[str]) -> None:
    """Have the server refuse runs with parameters that the flows do not have: their processes would crash."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        for name in names:
            deployment = client.read_deployment_by_name(name)
            schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
            content = {"parameter_openapi_schema": schema}
            client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=content)


def _require_own(deployments: list[dict[str, Any]]) -> None:
    """Raise UserError if the server has a deployment of one of these names whose runs work in another folder."""
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for deployment in deployments:
            name = _full_name(deployment)
            try:
                steps = client.read_deployment_by_name(name).pull_steps or []
            except ObjectNotFound:
                continue
            for folder in filter(None, (_working_directory(step) for step in steps)):
                if Path(folder).resolve() != Path.cwd().resolve():
                    raise UserError(
                        f"The server has the deployment {name} already, and its runs work in {folder}. Sent from here, "
                        f"they would work in {Path.cwd()}.\nTo fix this: give the deployments in {PREFECT_YAML} "
                        "another `name`; or, if this folder replaces the other one, run `hfi deploy --take-over`."
                    )


def _working_directory(step: dict[str, Any]) -> str | None:
    """Return the folder of Prefect's step `set_working_directory`."""
    return next((value.get("directory") for key, value in step.items() if key.endswith("set_working_directory")), None)


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


def _full_name(deployment: dict[str, Any]) -> str:
    """Return "FLOW/NAME", the flow's name as the entrypoint's last part, if it cannot be loaded."""
    from prefect.flows import load_flow_from_entrypoint

    try:
        flow = load_flow_from_entrypoint(deployment["entrypoint"]).name
    except Exception:  # `prefect deploy` says so
        flow = str(deployment["entrypoint"]).replace(":", ".").rpartition(".")[2]
    return f"{flow}/{deployment['name']}"
