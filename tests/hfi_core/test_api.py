"""The public API: the ten lines of the documentation, on the miniature model."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch

import hfi_core as hfi
from hfi_core.candidates.manifest import read_manifest, read_pictures
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.json_files import read_jsonl
from hfi_core.io.tensors import load_tensors
from tests.support.loop import run_through
from tests.support.projects import REPOSITORY, read_rows, write_project

TOKENS = ("<badge-objectionable>", "<badge-accepted>")


@pytest.fixture(scope="module")
def project(miniature, tmp_path_factory):
    """A project in which the stages have run until the removals: what the API computes must equal their files."""
    project = write_project(tmp_path_factory.mktemp("api") / "project", miniature)
    project.keep("base", "anchored")
    run_through(project, until="distill")
    return project


@pytest.fixture(scope="module")
def params(project):
    return hfi.load_params(str(project.folder / "params.yaml"))


@pytest.fixture(scope="module")
def model(params):
    return hfi.load_model(params)


@pytest.fixture(scope="module")
def reward(project, params):
    labels = hfi.read_labels(str(project.folder / "labels/badge"))
    return hfi.RewardModel.fit(str(project.folder / "candidates/badge"), labels, params)


@pytest.fixture(scope="module")
def tokens(model, reward, params):
    return hfi.invert(model, reward, "badge", params)


@pytest.fixture(scope="module")
def safe(model, tokens, params):
    return hfi.erase(model, tokens, method="anchored", params=params)


@pytest.mark.integration
def test_importing_the_library_imports_nothing_heavy():
    heavy = ("torch", "numpy", "transformers", "diffusers", "pydantic", "prefect", "mlflow", "dvc")
    code = f"import sys, hfi_core; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert found.stdout.strip() == "[]"


def test_every_public_name_exists_and_is_documented_and_listed():
    assert set(hfi.__all__) <= set(dir(hfi)) and hfi._LAZY.keys() == set(hfi.__all__)
    for name in hfi.__all__:
        assert inspect.getdoc(getattr(hfi, name)), name


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hfi_core' has no attribute 'unerase'"):
        hfi.unerase  # noqa: B018
    assert not hasattr(hfi, "torch")


def test_type_checkers_see_every_public_name_and_the_marker_is_packaged():
    text = (REPOSITORY / "hfi_core/__init__.py").read_text()
    typed = text.split("if TYPE_CHECKING:")[1].split("__all__")[0]
    for name, module in hfi._LAZY.items():
        assert f"from {module} import" in typed and name in typed
    assert (REPOSITORY / "hfi_core/py.typed").exists()


def test_a_sample_is_the_candidate_of_the_same_prompt_and_seed(project, model):
    candidates = project.folder / "candidates/badge"
    row = read_manifest(candidates)[0]
    images = hfi.sample(model, [row.prompt, row.prompt], seed=row.seed)
    assert images.shape == (2, 64, 64, 3) and images.dtype == np.uint8
    assert np.array_equal(images[0], read_pictures(candidates, [row])[0])
    assert not np.array_equal(images[0], images[1])
    assert np.array_equal(hfi.sample(model, [row.prompt], seed=row.seed + 1)[0], images[1])


def test_a_model_without_sampler_settings_cannot_be_sampled(params):
    from hfi_core.models.diffusion.loading import load_base_model

    with pytest.raises(ValueError, match="load_model"):
        hfi.sample(load_base_model(params.model, params.compute), ["a badge"])


def test_the_reward_model_is_that_of_the_stage(project, reward):
    folder = project.folder / "reward/badge"
    assert reward.rewards == {row["picture"]: row["reward"] for row in read_rows(folder / "scores.jsonl")}
    weights, _ = load_tensors(folder / "reward.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in reward.model.state_dict().items())
    assert set(reward.metrics) == {"auc", "accuracy", "calibration_error"}


def test_a_concept_that_does_not_exist_is_named(project, params, model, reward):
    labels = hfi.read_labels(project.folder / "labels/badge")
    with pytest.raises(hfi.UserError, match="There is no concept 'labels'"):
        hfi.RewardModel.fit(project.folder / "labels", labels, params)
    with pytest.raises(hfi.UserError, match="There is no concept 'boat'"):
        hfi.invert(model, reward, "boat", params)


def test_the_tokens_are_those_of_the_stage(project, tokens):
    expected = load_tokens(project.folder / "tokens/badge")
    assert set(tokens.vectors) == set(expected) == set(TOKENS)
    assert all(torch.equal(tokens.vectors[name], expected[name]) for name in TOKENS)
    assert set(tokens.check) == {"text", "objectionable", "accepted"}


def test_a_token_can_stand_in_a_prompt(model, tokens):
    images = hfi.sample(model, [f"a {TOKENS[0]}"], tokens=tokens.vectors)
    assert images.shape == (1, 64, 64, 3)


def test_the_safeguarded_model_is_that_of_the_stage_and_the_base_stays_as_it_was(project, params, model, safe):
    weights, _ = load_tensors(project.folder / "models/anchored/weights.safetensors")
    changed = safe.cross_attention()
    assert weights.keys() == changed.keys()
    assert all(torch.equal(changed[name], value) for name, value in weights.items())
    fresh = hfi.load_model(params).unet.state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in model.unet.state_dict().items())
    assert not all(torch.equal(changed[name], value) for name, value in model.cross_attention().items())
    assert safe.unet.conv_in.weight is model.unet.conv_in.weight, "what did not change is shared"


def test_base_erases_nothing_and_a_removal_that_does_not_exist_is_named(params, model, tokens):
    assert hfi.erase(model, tokens, method="base", params=params) is model
    with pytest.raises(hfi.UserError, match="There is no removal 'forget'.* there are base, anchored"):
        hfi.erase(model, tokens, method="forget", params=params)


def test_a_report_has_the_figures_of_every_suite_with_intervals(params, model, safe, tmp_path):
    report = hfi.evaluate({"base": model, "safe": safe}, params, folder=tmp_path)
    assert [row["row"] for row in report["rows"]] == ["base", "safe"]
    for row in report["rows"]:
        assert (
            {metric.split("@")[1] for metric in row["metrics"]} == set(report["suites"]) == set(params.evaluate.suites)
        )
        for figure in row["metrics"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
    assert {(pair["row"], pair["against"]) for pair in report["comparisons"]} == {("safe", "base")}
    records = read_jsonl(tmp_path / "safe/pictures.jsonl")
    assert len(list((tmp_path / "safe/pictures").rglob("*.png"))) == len(records)
    first = hfi.sample(safe, [records[0]["prompt"]], seed=records[0]["seed"])[0]
    from hfi_core.io.images import load_image

    assert np.array_equal(first, load_image(tmp_path / "safe/pictures/broad/00000.png"))


def test_an_evaluation_without_base_is_refused(params, safe):
    with pytest.raises(hfi.UserError, match="the model named 'base'; there are safe"):
        hfi.evaluate({"safe": safe}, params)


def test_a_release_is_loaded_by_diffusers_and_draws_the_same_weights(model, safe, tokens, tmp_path):
    from diffusers import UNet2DConditionModel

    hfi.save_release(safe, tmp_path / "release", tokens=[tokens])
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "release/model/unet")
    expected = safe.unet.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in unet.state_dict().items())
    assert set(load_tokens(tmp_path / "release/tokens/badge")) == set(TOKENS)
    digests = (tmp_path / "release/digests.json").read_text()
    assert "model/model_index.json" in digests and "tokens/badge/accepted/learned_embeds.safetensors" in digests


def lines_of(text: str) -> list[str]:
    """The lines from the import of the library to the release, without indentation and empty lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[lines.index("import hfi_core as hfi") : lines.index('hfi.save_release(safe, "my-release/")') + 1]


@pytest.mark.parametrize("page", ["README.md", "docs/reference/python-api.md"])
def test_the_pages_show_the_lines_of_the_library_s_docstring(page):
    assert lines_of((REPOSITORY / page).read_text()) == lines_of(hfi.__doc__)


def test_the_lines_of_the_documentation_run_in_a_project_s_folder(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    names: dict = {}
    exec("\n".join(lines_of(hfi.__doc__)), names)
    assert names["images"].shape == (1, 64, 64, 3)
    assert (project.folder / "my-release/model/model_index.json").exists()
