"""Where memory runs out, for real, the message says what takes less of it."""

import subprocess
import sys

import pytest
import torch

from hfi_core.compute.memory import out_of_memory_as_user_error
from hfi_core.errors import UserError
from hfi_core.pipeline.stage import Stage, StageContext
from tests.support.loop import units

_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.pipeline.stage import Stage, StageContext
from hfi_core.params import load_params
from hfi_core.pipeline.graph import units_of

params = load_params(Path("params.yaml"))
unit = next(iter(units_of(params, Path.cwd())))

def draw(block):
    compute = params.compute.model_copy(update={"block": block})
    unit.stage.load()(unit.context(params.model_copy(update={"compute": compute})))

draw(8)  # with all the memory there is, so that the limit is about pictures and not about libraries
here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + 256 * 2**20, resource.RLIM_INFINITY))
try:
    draw(1024)
except UserError as error:
    print(error)
draw(8)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux limits a process's memory so.")
def test_a_stage_that_runs_out_of_memory_says_what_takes_less(project, forked):
    command = ["python", "-c", _IN_LITTLE_MEMORY]
    done = subprocess.run(command, cwd=project.folder, env=forked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "The memory of 'cpu' is full (DefaultCPUAllocator" in done.stdout
    assert "lower compute.block (now 1024)" in done.stdout
    (unit, *_) = units(project)
    assert len(list((unit.outputs["candidates"] / "pictures").glob("*.png"))) == 24


def _allocate(context):
    return {"size": len(torch.empty(int(context.unit)))}


def test_a_processor_s_own_words_are_kept_and_its_source_lines_are_not(project):
    allocate = Stage("allocate", 1, f"{__name__}:_allocate", (), {}, {}).load()
    with pytest.raises(UserError, match="is full .DefaultCPUAllocator: can't allocate memory: .* 40000"):
        allocate(StageContext(project.params, {}, unit=str(10**15)))
    assert allocate(StageContext(project.params, {}, unit="3")) == {"size": 3}


@pytest.mark.parametrize(
    ("error", "quoted"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB. Of the rest, much"),
         r"\(CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB\)"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
         r"\(CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
        (MemoryError(), r"\(MemoryError\)"),
    ],
    ids=["a GPU", "its libraries", "Python"],
)  # fmt: skip
def test_whoever_lacks_memory_is_quoted(project, error, quoted):
    with pytest.raises(UserError, match=f"is full {quoted}"), out_of_memory_as_user_error(project.params.compute):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("the shapes differ"), ValueError("no")])
def test_other_errors_stay_what_they_are(project, error):
    with pytest.raises(type(error), match=str(error)), out_of_memory_as_user_error(project.params.compute):
        raise error
