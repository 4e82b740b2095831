"""`--processes`: several processes learn one removal, and only the first one's files are kept."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from itertools import repeat
from pathlib import Path

import psutil
import pytest
import torch

from flows.execution.unit import WORK
from hfi_core.io.tensors import load_tensors
from hfi_core.models.diffusion.loading import WEIGHTS
from tests.support.forking import REAL
from tests.support.loop import run_through
from tests.support.projects import Project, write_project

TOLERANCE = 1e-2
"""Of how far learning moved the weights: 44 steps of AdamW, which divides by the gradient's own size, carry the
gradients' rounding (tests/hfi_core/compute/test_data_parallel.py) further. 1e-5 was measured."""
ROW = "sdd-token"
ADDRESS = f"distill@{ROW}"
RUN = """
from pathlib import Path
import sys
from flows.execution.unit import remove_checkpoints, run_unit
from flows.execution.parallelism import Parallelism
from hfi_core.errors import UserError
from hfi_core.params import load_params
from hfi_core.pipeline.graph import units_of
params = load_params(Path("params.yaml"))
unit = next(unit for unit in units_of(params) if unit.address == sys.argv[1])
try:
    run_unit(unit, params, parallelism=Parallelism(processes=int(sys.argv[2])))
    remove_checkpoints(unit.address)
except UserError as error:
    sys.exit(f"UserError: {error}")
"""


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory) -> Project:
    """A small project in which one process has learnt a removal; steps enough for a checkpoint on the way."""
    project = write_project(tmp_path_factory.mktemp("replicas") / "project", miniature)
    project.keep("base", ROW)
    project.edit(**{f"removals__{ROW}__steps": 44})
    run_through(project, until="distill")
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy, whose removal is still to be learnt."""
    copy = Project(Path(shutil.copytree(finished.folder, tmp_path / "project")))
    shutil.rmtree(copy.folder / f"models/{ROW}")
    return copy


def _flat(file: Path, named_in: Path) -> torch.Tensor:
    tensors = load_tensors(file)[0]
    return torch.cat([tensors[name].float().flatten() for name in sorted(load_tensors(named_in)[0])])


def start(project: Project, processes: int, environment: Mapping[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        ["python", "-c", RUN, ADDRESS, str(processes)], cwd=project.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**environment, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_two_processes_leave_the_files_of_one_and_say_that_they_were_two(finished, project, forked):
    process = start(project, 2, forked)
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    alone, together = finished.folder / f"models/{ROW}", project.folder / f"models/{ROW}"
    assert files(together) == files(alone)
    removal = json.loads((together / "removal.json").read_text())
    assert removal.pop("processes") == 2
    assert removal == json.loads((alone / "removal.json").read_text())
    unet = Path(project.params.model.source) / "unet/diffusion_pytorch_model.safetensors"
    found, wanted, base = map(_flat, (together / WEIGHTS, alone / WEIGHTS, unet), repeat(alone / WEIGHTS))
    assert (found - wanted).norm() < TOLERANCE * (wanted - base).norm()
    assert not list((project.folder / ".hfi/work").iterdir())
    assert json.loads((project.folder / "reports/cost.json").read_text())["runs"][-1].keys() >= {"unit", "seconds"}


@pytest.mark.soak
def test_when_one_is_killed_all_end_and_the_next_run_goes_on_from_the_checkpoint(project, forked):
    with start(project, 2, forked | REAL) as process:
        end = time.monotonic() + 200
        while not list((project.folder / WORK).glob("*/distillation.safetensors")):
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.02)
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "flows.execution.data_parallel_worker" in child.cmdline()
        ]
        assert len(workers) == 2
        workers[1].send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert not psutil.wait_procs(workers, timeout=60)[1]
    assert process.returncode == 1
    assert "was ended by SIGKILL" in errors
    assert not (project.folder / f"models/{ROW}").exists()
    assert list((project.folder / WORK).glob("*/distillation.safetensors"))
    process = start(project, 2, forked)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert (project.folder / f"models/{ROW}/weights.safetensors").exists()


@pytest.mark.soak  # tests/hfi_core/compute/test_data_parallel.py has the refusal itself
def test_more_processes_than_rows_end_in_one_message(project, forked):
    process = start(project, 3, forked)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.count("3 processes cannot share rollouts 2") == 1
    assert errors.strip().startswith("UserError: ")
    assert not (project.folder / f"models/{ROW}").exists()
