"""Two real processes that learn together have the gradients of one that learns from the joint batch.

Tolerance: a process that draws two of three roll-outs, or predicts for three of six rows, calls kernels of other batch
sizes, which add in another order. So latents, and gradients, differ by float32's rounding (6e-8 relative), grown along
the denoising steps and the network's depth. 1.6e-6 of the gradient's norm was measured. 1e-4 is far above that, and far
below what a wrong weight of one row would make (a sixth).
"""

import subprocess
from pathlib import Path

import pytest
import torch

from hfi_core.compute.data_parallel import DataParallelGroup
from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors
from tests.support.data_parallel_process import SETTINGS
from tests.support.projects import write_project
from tests.support.servers import free_port

TOLERANCE = 1e-4


def _learn(forked: dict[str, str], params: Path, folder: Path, processes: int) -> list[Path]:
    joined = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "2"}
    running = []
    for index in range(processes):
        ranks = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        environment = dict(forked)
        if processes > 1:
            environment |= {name: str(value) for name, value in ranks.items()} | joined
        command = ["python", "-m", "tests.support.data_parallel_process", str(params), str(folder)]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    return [folder / str(index) for index in range(processes)]


@pytest.fixture(scope="module")
def learnt(miniature, forked, tmp_path_factory) -> tuple[Path, list[Path]]:
    """What one process wrote, and what each of two did."""
    folder = tmp_path_factory.mktemp("together")
    params = write_project(folder / "project", miniature).folder / "params.yaml"
    (alone,) = _learn(forked, params, folder / "one", 1)
    return alone, _learn(forked, params, folder / "two", 2)


def _read(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_tensors(folder / f"{name}.safetensors")[0]


def _flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)]).double()


def test_gradients_are_those_of_the_joint_batch(learnt):
    alone, (first, _) = learnt
    expected, actual = _flat(_read(alone, "gradients")), _flat(_read(first, "gradients"))
    assert expected.norm() > 0
    assert (actual - expected).norm() / expected.norm() < TOLERANCE


def test_losses_are_those_of_the_joint_batch(learnt):
    alone, (first, _) = learnt
    wanted = _read(alone, "losses")["losses"]
    assert len(wanted) == SETTINGS.steps
    assert torch.allclose(_read(first, "losses")["losses"], wanted, rtol=1e-3)


@pytest.mark.parametrize("what", ["gradients", "weights", "losses"])
def test_every_process_holds_the_same_bits(learnt, what):
    _, (first, second) = learnt
    mine, other = _read(first, what), _read(second, what)
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_processes_share_every_row_once_and_weigh_it_alike(count):
    rows = [DataParallelGroup(index, count).rows(10) for index in range(count)]
    assert [row for part in rows for row in range(10)[part]] == list(range(10))
    shares = [(part.stop - part.start) / 10 for part in rows]
    assert [DataParallelGroup(index, count).weight(10) / count for index in range(count)] == pytest.approx(shares)


def test_a_process_by_itself_gets_back_what_it_gave():
    alone, value = DataParallelGroup(), torch.randn(3, 2)
    assert alone.rows(5) == slice(0, 5) and alone.weight(5) == 1.0
    assert alone.mean(value) is value and alone.gather(value, 3) is value and alone.broadcast(value) is value


def test_more_processes_than_rows_are_refused_with_a_remedy():
    DataParallelGroup(0, 4).require_rows(rollouts=4, batch=8)
    with pytest.raises(UserError, match="4 processes cannot share rollouts 3: .*raise rollouts"):
        DataParallelGroup(0, 4).require_rows(rollouts=3, batch=8)
