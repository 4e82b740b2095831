"""A GPU whose memory runs out."""

import pytest
import torch

from hfi_core.errors import UserError
from tests.support.loop import units


@pytest.fixture
def little_memory():
    """Leave this process 256 MiB of the GPU: too few for one tensor of the largest block's decoding."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(256 * 2**20 / whole)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("little_memory")
def test_a_block_that_does_not_fit_is_named_and_a_smaller_one_goes_on(on_cuda):
    on_cuda.edit(compute__block=1024)
    (unit, *_) = units(on_cuda)

    def draw() -> None:
        unit.stage.load()(unit.context(on_cuda.params))

    with pytest.raises(UserError, match=r"(?s)memory of 'cuda' is full \(CUDA out of memory.*block \(now 1024\)"):
        draw()
    assert not unit.outputs["candidates"].exists()
    torch.cuda.empty_cache()
    on_cuda.edit(compute__block=8)
    draw()
    assert len(list((unit.outputs["candidates"] / "pictures").glob("*.png"))) == 24
