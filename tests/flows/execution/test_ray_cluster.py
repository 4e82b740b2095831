"""What a cluster must have before anything is sent to it."""

import sys

import pytest

from flows.execution.ray_cluster import _require_reachable, _require_resources, ray_runner
from hfi_core.errors import UserError
from hfi_core.params import Compute
from tests.flows.execution.test_shards import needs_ray

COMPUTE = Compute(device="cpu", dtype="float32", threads=2, block=8, checkpointing=False)


def node(address: str = "10.0.0.1", alive: bool = True, **resources: float) -> dict:
    return {"Alive": alive, "NodeManagerAddress": address, "Resources": resources}


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'hfi-pipeline\[ray\]'"), ray_runner("local", COMPUTE):
        pass


@needs_ray
def test_a_cluster_that_does_not_answer_is_named_with_a_remedy():
    with (
        pytest.raises(UserError, match=r"(?s)No Ray cluster answers at auto.*ray start --head"),
        ray_runner("auto", COMPUTE),
    ):
        pass


def test_a_cluster_whose_machines_are_too_small_is_refused_with_what_it_has():
    needs = {"num_cpus": 4, "num_gpus": 1}
    _require_resources([node(CPU=2.0), node(CPU=8.0, GPU=2.0)], needs)
    with pytest.raises(UserError, match=r"has 4 CPUs .* and a GPU .* it has: 2 CPUs, 1 GPUs; 8 CPUs, 0 GPUs"):
        _require_resources([node(CPU=2.0, GPU=1.0), node(CPU=8.0), node(CPU=8.0, GPU=2.0, alive=False)], needs)


@pytest.mark.parametrize("server", ["http://127.0.0.1:4200/api", "http://localhost:4200/api", "http://[::1]:4200/api"])
def test_a_server_that_machines_elsewhere_cannot_reach_is_refused(server):
    _require_reachable(server, [node("10.0.0.1")], "10.0.0.1")
    with pytest.raises(UserError, match=r"10\.0\.0\.2 cannot reach Prefect's server .*PREFECT_API_URL"):
        _require_reachable(server, [node("10.0.0.1"), node("10.0.0.2")], "10.0.0.1")


def test_a_server_with_an_address_of_its_own_is_reachable():
    _require_reachable("http://10.0.0.1:4200/api", [node("10.0.0.2")], "10.0.0.1")
