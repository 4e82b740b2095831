"""Rows that train nothing are drawn, attacked, judged and released as a token with a recipe."""

import json
import re

import numpy as np
import pytest
import torch

from flows.releases.register import register
from hfi_core.erasure.release import save_release
from hfi_core.erasure.removal import erase
from hfi_core.errors import UserError
from hfi_core.inversion.token_pair import TokenPair
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.images import load_image
from hfi_core.models.diffusion.loading import load_model, load_safeguarded_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures, sample
from hfi_core.params.workload import count_unet_passes
from tests.support.loop import bytes_below, run_through, run_units
from tests.support.projects import Project, write_project

ROWS = {
    "base": {"method": "none"},
    "negative-text": {"method": "negative", "condition": "text"},
    "negative-token": {"method": "negative", "condition": "token"},
    "sld-token": {"method": "sld", "condition": "token", "strength": "max"},
}


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory) -> Project:
    project = write_project(tmp_path_factory.mktemp("recipes") / "project", miniature)
    project.edit(removals=ROWS, release__row="negative-token", release__lora=None)
    run_through(project)
    return project


def test_a_row_holds_what_it_avoids_and_no_weights(finished):
    params = finished.params
    for row, prompt in (("negative-text", "badge"), ("negative-token", "<badge-objectionable>")):
        folder = finished.folder / "models" / row
        assert not (folder / "weights.safetensors").exists() and not (folder / "steps.csv").exists()
        record = json.loads((folder / "removal.json").read_text())
        assert (record["prompt"], record["trained_parameters"]) == (prompt, 0)
        assert load_safeguarded_model(params.model, params.compute, folder).recipe.prompt == prompt
    recipe = load_safeguarded_model(params.model, params.compute, finished.folder / "models/sld-token").recipe
    objectionable = load_tokens(finished.folder / "tokens/badge/objectionable")
    assert recipe.strength == "max" and recipe.tokens.keys() == objectionable.keys()
    assert all(torch.equal(recipe.tokens[name], vectors) for name, vectors in objectionable.items())


def test_attackers_invert_on_the_base_and_their_pictures_are_drawn_with_the_recipe(finished):
    attacks, evaluation = finished.folder / "attacks", finished.folder / "evaluation"
    base = bytes_below(attacks / "base", named_from=attacks / "base")
    drawn = {row: bytes_below(evaluation / row, named_from=evaluation / row) for row in ROWS}
    for row in ("negative-text", "negative-token", "sld-token"):
        assert bytes_below(attacks / row, named_from=attacks / row) == base
        for suite in ("broad", "unrelated", "reinverted"):
            names = [name for name in drawn["base"] if name.startswith(f"pictures/{suite}/")]
            assert names and any(drawn[row][name] != drawn["base"][name] for name in names)
    assert drawn["negative-text"] != drawn["negative-token"] != drawn["sld-token"]


def test_the_comparison_has_every_row_with_its_method_and_condition(finished):
    rows = json.loads((finished.folder / "reports/evaluation.json").read_text())["rows"]
    assert [(row["row"], row["method"], row["condition"]) for row in rows] == [
        (name, row["method"], row.get("condition")) for name, row in ROWS.items()
    ]
    assert all("flagged@reinverted" in row["metrics"] for row in rows)


def test_the_release_is_the_token_with_the_recipe_and_its_card_draws_what_was_judged(finished, monkeypatch):
    release = finished.folder / "release"
    files = json.loads((release / "digests.json").read_text())["files"]
    assert not any(name.startswith(("model/", "lora/")) for name in files)
    assert {"recipe.json", "README.md", "pictures.png", "scheduler/scheduler_config.json"} <= files.keys()
    assert "tokens/badge/objectionable/learned_embeds.safetensors" in files
    told = json.loads((release / "recipe.json").read_text())
    assert told == {"method": "negative", "negative_prompt": "<badge-objectionable>"}
    card = (release / "README.md").read_text()
    code = re.findall("```python\n(.*?)```", card, re.DOTALL)[0]
    monkeypatch.chdir(release)
    said = {}
    exec(code.replace("BASE", finished.params.model.source).replace("PROMPT", "a badge"), said)  # what a reader pastes
    params = finished.params
    model = load_safeguarded_model(params.model, params.compute, finished.folder / "models/negative-token")
    ((_, ours),) = draw_pictures(model, [SampleRequest("a badge", 0)], params.sampler, block=1)
    assert np.abs(ours.astype(int) - load_image(release / "picture.png").astype(int)).max() <= 1
    (release / "picture.png").unlink()


def test_the_release_of_safe_latent_diffusion_holds_its_numbers(finished):
    finished.edit(release__row="sld-token")
    run_units(finished, "package")
    told = json.loads((finished.folder / "release/recipe.json").read_text())
    assert (told["method"], told["safety_concept"]) == ("sld", "<badge-objectionable>")
    assert told["settings"] == {"warmup": 0, "scale": 5000, "threshold": 1.0, "momentum": 0.5, "decay": 0.7}
    assert "Safe Latent Diffusion" in (finished.folder / "release/README.md").read_text()
    finished.edit(release__row="negative-token")


def test_the_library_draws_with_the_recipe_and_saves_no_model_without_it(finished, tmp_path):
    model = load_model(finished.params)
    pair = TokenPair("badge", load_tokens(finished.folder / "tokens/badge"), None, {}, {})
    safe = erase(model, pair, "negative-token", finished.params)
    folder = finished.folder / "models/negative-token"
    other = load_safeguarded_model(finished.params.model, finished.params.compute, folder)
    ((_, wanted),) = draw_pictures(other, [SampleRequest("a badge", 3)], finished.params.sampler, block=8)
    assert np.array_equal(sample(safe, ["a badge"], seed=3)[0], wanted)
    assert model.recipe is None
    with pytest.raises(UserError, match="recipe of sampling, which a diffusers folder cannot hold"):
        save_release(safe, tmp_path / "release")
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"release__lora": {"most_difference": 1, "pictures": 2, "most_rank": 2}},
            r"release\.lora: the row negative-token is a recipe of sampling",
        ),
        ({"sampler__guidance": 1}, "sampler.guidance is 1, which is no guidance, and the row negative-text acts"),
    ],
)
def test_what_such_a_row_cannot_have_is_refused_before_anything_runs(project, changes, message):
    project.edit(removals=ROWS, release__row="negative-token", release__lora=None)
    assert project.params
    project.edit(**changes)
    with pytest.raises(UserError, match=message):
        _ = project.params


def test_the_registry_refuses_a_release_without_weights(project):
    project.edit(removals=ROWS, release__row="negative-token", release__lora=None)
    with pytest.raises(UserError, match="negative-token is a recipe of sampling, and the registry holds weights"):
        register(project.params)


def test_the_plan_counts_a_third_pass_for_the_safety_concept_and_no_training(project):
    project.edit(removals=ROWS, release__row="negative-token", release__lora=None)
    base, negative, sld = (
        count_unet_passes("evaluate", row, project.params) for row in ("base", "negative-token", "sld-token")
    )
    assert base == negative and 2 * sld.forward == 3 * base.forward
    assert count_unet_passes("distill", "sld-token", project.params).forward == 0
