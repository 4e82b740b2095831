"""The miniature model, its params, and a concept with tokens, for the tests of all removal methods."""

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.models.diffusion.loading import load_base_model
from tests.support.projects import write_project


@pytest.fixture(scope="package")
def small_params(miniature, tmp_path_factory):
    """Params of a small project on the miniature model."""
    return write_project(tmp_path_factory.mktemp("erasure"), miniature).params


@pytest.fixture(scope="package")
def small_model(small_params):
    """The miniature model. No test changes it."""
    return load_base_model(small_params.model, small_params.compute)


@pytest.fixture(scope="package")
def concepts(small_model, small_params):
    """Two concepts with tokens that were drawn: `badge` of the params, and `kite`."""
    width = sum(small_model.text.widths)
    badge = small_params.concepts["badge"]
    kite = badge.model_copy(update={"text": "kite", "prompts": ("a kite", "a red kite")})
    return [
        ErasureConcept(
            name,
            spec,
            {
                f"<{name}-{role}>": torch.randn(2, width, generator=torch_generator(name, role))
                for role in ("objectionable", "accepted")
            },
            load_examples=list,
            load_judged=list,
        )
        for name, spec in (("badge", badge), ("kite", kite))
    ]
