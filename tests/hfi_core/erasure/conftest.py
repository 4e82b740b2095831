"""A tiny model of random weights, its params, and two concepts with tokens, for the tests of all removal methods."""

from dataclasses import replace

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.schedule import PREDICTION_TYPES, NoiseSchedule
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import parse_params
from tests.support.other_model import build_other_model
from tests.support.projects import ANCHORED_ROW, default_raw


@pytest.fixture(scope="package")
def small_params(tmp_path_factory):
    """Params for the tiny model."""
    folder = build_other_model(tmp_path_factory.mktemp("tiny")) / "pipeline"
    raw = default_raw()
    raw["model"] = {"source": str(folder), "revision": None, "digest": digest_of_weights(folder)}
    raw["compute"] |= {"threads": 1, "block": 8}
    raw["sampler"] |= {"steps": 2}
    raw["removals"]["anchored"] = dict(ANCHORED_ROW)
    raw["feedback"] |= {"file": "data/feedback/judgements.jsonl", "simulated": {}}
    raw["concepts"]["badge"] |= {"prompts": ["a badge", "a red badge", "a blue badge"]}
    return parse_params(raw)


@pytest.fixture(scope="package")
def small_model(small_params):
    """The tiny model. No test changes it."""
    return load_base_model(small_params.model, small_params.compute)


@pytest.fixture(params=PREDICTION_TYPES)
def eps_or_v_model(small_model, request):
    """The tiny model, whose network is taken to predict eps, or v."""
    return replace(small_model, schedule=NoiseSchedule(small_model.schedule.alpha_bar, request.param))


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
