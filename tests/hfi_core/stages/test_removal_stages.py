"""Invert, distill, attack and package on a small project: what lies there at the end, and who can read it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hfi_core.attacks.files import read_cases
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import read_jsonl
from hfi_core.models.diffusion.loading import load_base_model, load_safeguarded_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import attack
from tests.support.evaluations import with_attack
from tests.support.loop import bytes_below, run_through
from tests.support.projects import CLOSED_FORM, Project, write_project

pytestmark = pytest.mark.integration  # whole loops


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory) -> Project:
    project = write_project(tmp_path_factory.mktemp("loop") / "project", miniature)
    rows = {row: removal.model_dump(mode="json") for row, removal in project.params.removals.items()}
    project.edit(removals=rows | {"closed-form": CLOSED_FORM}, attacks__reinverted__attackers=2)
    run_through(project)
    return project


def test_both_tokens_are_written_and_differ_from_their_start(finished):
    tokens = {}
    for side in ("objectionable", "accepted"):
        tokens |= load_file(finished.folder / "tokens" / "badge" / side / "learned_embeds.safetensors")
    assert set(tokens) == {"<badge-objectionable>", "<badge-accepted>"}
    assert not torch.equal(*tokens.values())


def test_the_base_row_changes_nothing_and_the_others_only_cross_attention(finished):
    assert not (finished.folder / "models" / "base" / "weights.safetensors").exists()
    for row in ("sdd-text", "sdd-token", "anchored", "closed-form"):
        weights = load_file(finished.folder / "models" / row / "weights.safetensors")
        assert weights
        assert all(".attn2." in name for name in weights)
        assert list((finished.folder / "models" / row / "samples").glob("step-*.png"))


def test_the_curve_has_a_line_a_step_over_all_rounds(finished):
    lines = (finished.folder / "models" / "anchored" / "steps.csv").read_text().splitlines()
    spec = finished.params.removals["anchored"]
    assert len(lines) == 1 + spec.steps * spec.rounds


def test_the_curve_of_a_solve_is_the_objective_without_it_and_with_it(finished):
    _, *lines = (finished.folder / "models" / "closed-form" / "steps.csv").read_text().splitlines()
    before, after = (float(line.split(",")[1]) for line in lines)
    assert after < before


def test_the_attacker_sees_no_picture_that_the_reward_was_learnt_from(finished):
    labels = read_jsonl(finished.folder / "labels" / "badge" / "labels.jsonl")
    attacked = {row["picture"] for row in labels if row["part"] == "attack"}
    scored = {row["picture"] for row in read_jsonl(finished.folder / "reward" / "badge" / "scores.jsonl")}
    assert attacked
    assert not attacked & scored


def test_every_row_faces_the_same_attackers_who_find_different_tokens(finished):
    starts = []
    for row in finished.params.removals:
        folder = finished.folder / "attacks" / row / "reinverted"
        tokens = load_tokens(folder / "tokens")
        assert list(tokens) == ["<badge-reinverted>", "<badge-reinverted-2>"]
        assert not torch.equal(*tokens.values())
        head, first, *_ = (folder / "steps.csv").read_text().splitlines()
        assert head == "step,badge,badge.2"
        starts.append(first)
    assert starts[0] != starts[-1], "each row is attacked on its own model"


def test_more_attackers_leave_the_first_unchanged(finished, tmp_path):
    params = with_attack(finished.params, attackers=1)
    inputs = {name: finished.folder / name for name in ("labels", "candidates", "tokens", "reward")}
    inputs["model"] = finished.folder / "models/base"
    among, seen = finished.folder / "attacks/base/reinverted", []
    attack.run(StageContext(params, inputs, {"attack": tmp_path}, "base", progress=lambda *sign: seen.append(sign)))
    alone, steps = tmp_path / "reinverted", params.attacks["reinverted"].steps
    assert [path.name for path in (alone / "tokens").iterdir()] == ["badge-reinverted"]
    first = "tokens/badge-reinverted"
    assert bytes_below(alone / first, named_from=alone) == bytes_below(among / first, named_from=among)
    assert read_cases(alone) == read_cases(among)[: params.attacks["reinverted"].pictures]
    assert seen == [(step, steps, "base, reinverted on badge: inverting") for step in range(1, steps + 1)]


def test_the_release_draws_what_was_evaluated(finished):
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    params = finished.params
    model = load_safeguarded_model(params.model, params.compute, finished.folder / "models" / params.release.row)
    pipe = StableDiffusionPipeline.from_pretrained(finished.folder / "release" / "model", dtype=torch.float32)
    merged = dict(pipe.unet.named_parameters())
    assert all(torch.equal(value, merged[name]) for name, value in model.unet.named_parameters())
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, algorithm_type="dpmsolver++")
    pipe.set_progress_bar_config(disable=True)
    noise = torch.randn((1, *model.latent_shape), generator=torch.Generator().manual_seed(1))
    options = {"num_inference_steps": params.sampler.steps, "guidance_scale": params.sampler.guidance}
    theirs = pipe("a badge", latents=noise, output_type="np", **options).images[0]
    ((_, ours),) = draw_pictures(model, [SampleRequest("a badge", 1)], params.sampler, block=1)
    assert np.abs(ours.astype(int) - np.round(theirs * 255)).max() <= 1


def test_the_release_names_every_file_by_its_digest(finished):
    release = finished.folder / "release"
    digests = json.loads((release / "digests.json").read_text())["files"]
    files = {p.relative_to(release).as_posix() for p in release.rglob("*") if p.is_file()} - {"digests.json"}
    assert set(digests) == files
    assert all(digests[name] == f"sha256:{sha256_of_file(release / name)}" for name in files)
    assert "simulated" not in (release / "README.md").read_text().split("## Figures")[0]


def test_the_card_names_the_worst_attack_and_those_that_show_nothing(finished):
    card = (finished.folder / "release" / "README.md").read_text()
    attacks = json.loads((finished.folder / "reports/evaluation.json").read_text())["attacks"]
    assert "`flagged@worst_attack` is that of `reinverted`" in card
    assert ("The attack reinverted is not calibrated" in card) == (not attacks["reinverted"]["calibrated"])


def test_safeguarded_weights_leave_the_rest_of_the_base_alone(finished):
    params = finished.params
    base = load_base_model(params.model, params.compute)
    changed = load_safeguarded_model(params.model, params.compute, finished.folder / "models" / "sdd-text")
    ours = dict(changed.unet.named_parameters())
    for name, value in base.unet.named_parameters():
        assert torch.equal(value, ours[name]) or ".attn2." in name
