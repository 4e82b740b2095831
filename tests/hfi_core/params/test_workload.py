"""The counts of a plan are those of what really runs."""

import pytest
import torch

from hfi_core.attacks.base import list_attackers
from hfi_core.attacks.kinds import find_attack
from hfi_core.compute.seeding import torch_generator
from hfi_core.evaluation.shots import list_shots
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import parse_params
from hfi_core.params.workload import Workload, count_evaluation_pictures, count_unet_passes
from hfi_core.pipeline.graph import units_of
from hfi_core.progress import no_progress
from tests.support.attacks import make_target, write_tokens_found
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
    project.edit(removals=selected, attacks__reinverted__pictures=1, attacks__reinverted__attackers=2)
    params = project.params
    for unit in units_of(params):
        if unit.stage.name == "ingest":
            write_feedback(project.folder, params)
        counted[:] = [0, 0]
        unit.stage.load()(unit.context(params))
        work = count_unet_passes(unit.stage.name, unit.unit, params)
        assert counted == [work.forward, work.gradient], unit.address
        assert (unit.stage.name in COUNTED and unit.address != "distill@base") == (sum(counted) > 0), unit.address


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "unlearndiff", "loss": loss, "pictures": 1, "prompts": 3, "tokens": 2, "timesteps": 1, "steps": 2}
        | {"rate": 0.1, "weight_decay": 0.0, "check": 9, "batch": 2}
        for loss in ("unlearndiff", "p4d")
    ]
    + [
        {"kind": "latent_inversion", "pictures": 3, "steps": 4, "iterations": 2, "regularization": 0.1}
        | {"unrelated": ["a boat"], "references": 2}
    ],
    ids=["unlearndiff", "p4d", "latent_inversion"],
)
def test_every_pass_of_an_attack_is_counted(project, counted, settings):
    project.edit(attacks={"one": settings})
    params = project.params
    model = load_base_model(params.model, params.compute)
    latents = torch.randn(3, *model.latent_shape, generator=torch_generator("latents"))
    (attacker,) = list_attackers("one", params.attacks["one"], "badge")
    target = make_target(
        params, attacker, model=model, load_base=lambda: model,
        load_examples=lambda: TrainingExamples(latents, ["a red badge"] * 3, torch.ones(3)),
        score_pictures=lambda pictures: pictures.mean(axis=(1, 2, 3)),
    )  # fmt: skip
    find_attack(params.attacks["one"])(target, params.attacks["one"], work=None, progress=no_progress)
    work = count_unet_passes("attack", "base", params)
    assert counted == [work.forward, work.gradient]


def _shots(params, row):
    write_tokens_found(row, params)
    return list_shots(params, row)


def test_a_row_s_evaluation_draws_so_many_pictures(tmp_path):
    params = parse_params(default_raw())
    assert count_evaluation_pictures(params) == len(_shots(params, tmp_path / "one")) == 680
    raw = default_raw()
    raw["attacks"]["reinverted"] |= {"attackers": 3, "looks": [10, 100]}
    params = parse_params(raw)
    assert count_evaluation_pictures(params) == len(_shots(params, tmp_path / "three")) == 680 + (3 * 3 - 1) * 64


def test_without_guidance_a_step_is_one_pass():
    raw = default_raw()
    raw["sampler"]["guidance_stop"] = 1.0
    both = count_unet_passes("generate", "badge", parse_params(raw))
    raw["sampler"]["guidance"] = 1.0
    assert 2 * count_unet_passes("generate", "badge", parse_params(raw)).forward == both.forward


def test_work_adds_up():
    assert Workload(1, 2, 3, 4) + Workload(10, 20, 30, 40) == Workload(11, 22, 33, 44)
