"""Ray under Prefect: connects this process to a cluster, or starts one here, and asks for what a shard needs."""

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
    """Prefect's task runner on the Ray at an address; what it is given to run has CPUs (and a GPU) to itself.

    Raises UserError if Ray is not installed or out of reach, if no machine of it is large enough, or if its machines
    cannot reach Prefect's server.
    """
    try:
        import ray
        from prefect_ray import RayTaskRunner
        from prefect_ray.context import remote_options
    except ImportError as error:
        raise UserError(
            "--ray needs Ray: `pip install 'hfi-pipeline[ray]'`, here and on every machine of the cluster."
        ) from error
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    needs = _needs(compute)
    if not ray.is_initialized():  # one connection for all units of a run; it ends with the process
        _connect(ray, address)
    with get_client(sync_client=True) as client:
        server = str(client.api_url)
    _require_room(ray.nodes(), needs)
    _require_reachable(server, ray.nodes(), ray.util.get_node_ip_address())
    # The server may be a temporary one, which only this process knows; workers learn of it by the settings.
    with temporary_settings({PREFECT_API_URL: server}), RayTaskRunner() as runner, remote_options(**needs):
        yield runner


def _connect(ray: Any, address: str) -> None:
    here = {"include_dashboard": False} if address == LOCAL_RAY else {}
    try:
        ray.init(address, namespace="prefect", log_to_driver=False, logging_level="ERROR", **here)
    except Exception as error:  # ConnectionError, ValueError, RuntimeError, gRPC's own: whatever the way to it raises
        raise UserError(
            f"No Ray cluster answers at {address}: {first_line(error)}\n"
            f"Start one (`ray start --head`), or use --ray {LOCAL_RAY}."
        ) from error


def _needs(compute: Compute) -> dict[str, float]:
    """What a shard takes of a machine."""
    return {"num_cpus": compute.threads, "num_gpus": 1 if compute.device.startswith("cuda") else 0}


def _require_room(nodes: list[dict[str, Any]], needs: dict[str, float]) -> None:
    """Without it, Ray would wait for such a machine for ever, and say nothing."""
    has = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(one.get("CPU", 0) >= needs["num_cpus"] and one.get("GPU", 0) >= needs["num_gpus"] for one in has):
        known = "; ".join(f"{one.get('CPU', 0):.0f} CPUs, {one.get('GPU', 0):.0f} GPUs" for one in has) or "none"
        gpu = " and a GPU (compute.device)" if needs["num_gpus"] else ""
        raise UserError(
            f"No machine of the Ray cluster has {needs['num_cpus']} CPUs (compute.threads){gpu} for a shard; "
            f"it has: {known}."
        )


def _require_reachable(server: str, nodes: list[dict[str, Any]], here: str) -> None:
    """A worker elsewhere reports to Prefect's server; a loopback address is its own machine there."""
    elsewhere = [node["NodeManagerAddress"] for node in nodes if node["Alive"] and node["NodeManagerAddress"] != here]
    if elsewhere and is_loopback(urlsplit(server).hostname or ""):
        raise UserError(
            f"Ray's machine {elsewhere[0]} cannot reach Prefect's server at {server}: start one on an address that "
            "all machines reach (`prefect server start --host 0.0.0.0`), and export PREFECT_API_URL=http://HOST:4200/api."
        )
