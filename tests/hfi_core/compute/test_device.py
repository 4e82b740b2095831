"""What is settled before anything is computed; that GPUs keep to it, only a GPU can show."""

import os

import pytest
import torch

from hfi_core.compute.device import configure_torch


def test_float32_is_not_computed_as_tf32(project):
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    configure_torch(project.params.compute)
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


def test_equal_bytes_do_not_cost_a_filling_of_every_new_tensor(project):
    torch.utils.deterministic.fill_uninitialized_memory = True
    configure_torch(project.params.compute)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize(("before", "after"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_cublas_has_a_workspace_for_each_stream_unless_the_user_has_said_which(project, monkeypatch, before, after):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", before or "")  # so that it is put back, whatever it was
    if before is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    configure_torch(project.params.compute)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == after
