"""Run Prefect tasks on Ray: connect to a cluster or start one on this machine, and check that it fits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from flows.execution.parallelism import LOCAL_RAY
from flows.runtime.network import is_loopback
from hfi_core.errors import UserError, first_line
from hfi_core.params import Compute


@contextmanager
def ray_runner(address: str, compute: Compute) -> Iterator[Any]:
    """Yield Prefect's task runner on a Ray cluster; each task has CPUs (and a GPU) of its own.

    Raises UserError if Ray is not installed or out of reach, if none of its machines is large enough, or if they
    cannot reach Prefect's server.
    """
    try:
        import ray
        from prefect_ray import RayTaskRunner
        from prefect_ray.context import remote_options
    except ImportError as error:
        raise UserError(
            "--ray needs Ray. To fix this: `pip install 'hfi-pipeline[ray]'`, here and on every machine of the cluster."
        ) from error
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    needs = _needs(compute)
    if not ray.is_initialized():  # one connection for all units of a run; it ends with the process
        _connect(ray, address)
    with get_client(sync_client=True) as client:
        server = str(client.api_url)
    _require_resources(ray.nodes(), needs)
    _require_reachable(server, ray.nodes(), ray.util.get_node_ip_address())
    # The server may be a temporary one; workers learn its address from these settings.
    with temporary_settings({PREFECT_API_URL: server}), RayTaskRunner() as runner, remote_options(**needs):
        yield runner


def _connect(ray: Any, address: str) -> None:
    options = {"include_dashboard": False} if address == LOCAL_RAY else {}
    try:
        ray.init(address, namespace="prefect", log_to_driver=False, logging_level="ERROR", **options)
    except Exception as error:  # ConnectionError, ValueError, RuntimeError, gRPC's own errors
        raise UserError(
            f"No Ray cluster answers at {address}: {first_line(error)}\n"
            f"To fix this: start one (`ray start --head`), or use --ray {LOCAL_RAY}."
        ) from error


def _needs(compute: Compute) -> dict[str, float]:
    """Return the resources that a shard needs."""
    return {"num_cpus": compute.threads, "num_gpus": 1 if compute.device.startswith("cuda") else 0}


def _require_resources(nodes: list[dict[str, Any]], needs: dict[str, float]) -> None:
    """Raise UserError if no machine has the resources: Ray would wait for one for ever, without a message."""
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(has.get("CPU", 0) >= needs["num_cpus"] and has.get("GPU", 0) >= needs["num_gpus"] for has in machines):
        listing = "; ".join(f"{has.get('CPU', 0):.0f} CPUs, {has.get('GPU', 0):.0f} GPUs" for has in machines) or "none"
        gpu = " and a GPU (compute.device)" if needs["num_gpus"] else ""
        raise UserError(
            f"No machine of the Ray cluster has {needs['num_cpus']} CPUs (compute.threads){gpu} for a shard; "
            f"it has: {listing}."
        )


def _require_reachable(server: str, nodes: list[dict[str, Any]], own_address: str) -> None:
    """Raise UserError if workers on other machines cannot reach Prefect's server, because its address is a loopback."""
    addresses = [node["NodeManagerAddress"] for node in nodes if node["Alive"]]
    others = [address for address in addresses if address != own_address]
    if others and is_loopback(urlsplit(server).hostname or ""):
        raise UserError(
            f"Ray's machine {others[0]} cannot reach Prefect's server at {server}. To fix this: start "
            "one on an address that all machines reach (`prefect server start --host 0.0.0.0`), and export "
            "PREFECT_API_URL=http://HOST:4200/api."
        )
