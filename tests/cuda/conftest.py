"""What only a GPU shows. Where there is none, these tests skip, and say so."""

import pytest
import torch

from tests.support.projects import Project


@pytest.fixture(autouse=True, scope="session")
def _a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("No CUDA device here: run tests/cuda where there is one.")


@pytest.fixture
def on_cuda(project: Project) -> Project:
    """The small project, on a GPU."""
    project.edit(compute__device="cuda")
    return project
