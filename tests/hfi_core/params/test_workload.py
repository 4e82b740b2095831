"""The counts of a plan are those of what really runs."""

import pytest

from hfi_core.evaluation.shots import list_shots
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import parse_params
from hfi_core.params.workload import Workload, count_evaluation_pictures, count_unet_passes
from hfi_core.pipeline.graph import units_of
from tests.support.loop import write_feedback
from tests.support.projects import (
    CLOSED_FORM,
    DPO_ROW,
    ESD_ROW,
    RECE_ROW,
    REWARD_WEIGHTED_ROW,
    UCE_ROW,
    default_raw,
)

COUNTED = ("generate", "invert", "distill", "attack", "evaluate", "package")


@pytest.fixture
def counted(monkeypatch):
    """Passes as the model sees them: [without gradient, with gradient]."""
    import torch

    seen = [0, 0]

    def counting(self, x_t, t, condition, weights=None):
        """A pass without a UNet that still depends on all that may be learnt."""
        learnt = sum(value.float().sum() for value in (weights or {}).values())
        result = 0.1 * x_t.float() + 0 * (condition.float().mean() + learnt)
        seen[torch.is_grad_enabled() and result.requires_grad] += len(x_t)
        return result

    monkeypatch.setattr(TextToImage, "predict", counting)
    return seen


@pytest.mark.soak
def test_every_pass_that_stages_make_is_counted(project, counted, monkeypatch):
    # A block that does not divide the pictures, three rounds, and more samples on the way than roll-outs allow.
    project.edit(compute__block=5, compute__threads=1, removals__anchored__rounds=3, removals__anchored__reuse=2)
    monkeypatch.chdir(project.folder)
    rows = project.params.removals
    selected = {row: rows[row].model_dump(mode="json") for row in ("base", "sdd-token", "anchored")}
    selected |= {
        "closed-form": CLOSED_FORM, "esd": ESD_ROW | {"preserved": ["a boat"]}, "uce": UCE_ROW, "rece": RECE_ROW,
        "anchored-more": selected["anchored"] | {
            "reinvert_from": ["word", "token", "beside"], "anchors": 2, "words": "held", "jitter": 0.5,
            "preserved": ["a boat"],
        },
        "rewarded": REWARD_WEIGHTED_ROW, "dpo": DPO_ROW | {"steps": 5},
    }  # fmt: skip
    project.edit(removals=selected, evaluate__reinverted=1, attack__attackers=2)
    params = project.params
    for unit in units_of(params):
        if unit.stage.name == "ingest":
            write_feedback(project.folder, params)
        counted[:] = [0, 0]
        unit.stage.load()(unit.context(params))
        work = count_unet_passes(unit.stage.name, unit.unit, params)
        assert counted == [work.forward, work.gradient], unit.address
        assert (unit.stage.name in COUNTED and unit.address != "distill@base") == (sum(counted) > 0), unit.address


def test_a_row_s_evaluation_draws_so_many_pictures():
    params = parse_params(default_raw())
    assert count_evaluation_pictures(params) == len(list_shots(params)) == 584
    raw = default_raw()
    raw["attack"]["attackers"] = 3
    params = parse_params(raw)
    assert count_evaluation_pictures(params) == len(list_shots(params)) == 584 + 2 * 64


def test_without_guidance_a_step_is_one_pass():
    raw = default_raw()
    both = count_unet_passes("generate", "badge", parse_params(raw))
    raw["sampler"]["guidance"] = 1.0
    assert 2 * count_unet_passes("generate", "badge", parse_params(raw)).forward == both.forward


def test_work_adds_up():
    assert Workload(1, 2, 3, 4) + Workload(10, 20, 30, 40) == Workload(11, 22, 33, 44)
