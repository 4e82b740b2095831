"""The LoRA of a registered release, in MLflow's own `diffusers` flavor."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flows.releases import register
from flows.releases.packaging import save_adapter
from flows.tracking.client import registry_client
from hfi_core.models.weights import locate_weights
from hfi_core.params import Source
from tests.support.projects import REPOSITORY, write_project
from tests.support.released import mentions, write_release

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def registered(miniature, tmp_path_factory):
    """A project whose release was registered, and the version."""
    import mlflow

    folder = tmp_path_factory.mktemp("lora") / "project"
    project = write_project(folder, miniature)
    gates = {"flagged@broad": {"at_most": 0.1}}
    project.edit(tracking__mlflow=f"sqlite:///{folder}/mlflow.db", release__gates=gates)
    write_release(project)
    with pytest.MonkeyPatch.context() as inside:
        inside.chdir(folder)
        made = register.register(project.params)
    mlflow.set_tracking_uri(project.params.tracking.mlflow)
    version = registry_client(project.params).get_model_version(made.model, made.version)
    base = locate_weights(project.params.model.source, None, "model")
    return SimpleNamespace(project=project, tags=version.tags, description=version.description, base=str(base))


def test_mlflow_loads_it_and_the_pipeline_draws_as_plain_diffusers_does(registered):
    import mlflow
    from diffusers import StableDiffusionPipeline

    adapter = mlflow.diffusers.load_model(registered.tags["hfi.lora"])
    assert adapter.base_model == "./base", "no path of this machine"
    plain = StableDiffusionPipeline.from_pretrained(registered.base, dtype=torch.float32)
    noise = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(1))
    drawn = []
    for pipe in (plain, adapter.load_pipeline(base_model=registered.base, device="cpu", torch_dtype=torch.float32)):
        if pipe is plain:
            lora = registered.project.folder / "release/lora"
            pipe.load_lora_weights(lora, weight_name="pytorch_lora_weights.safetensors")
        drawn.append(pipe("a badge", latents=noise, num_inference_steps=2, output_type="np").images)
    assert np.abs(drawn[0] - drawn[1]).max() < 1 / 255


def test_nothing_that_is_registered_names_a_folder_of_this_machine(registered):
    folder = registered.project.folder
    files = [path for path in (folder / "mlruns").rglob("*") if path.is_file() and "lineage" not in path.parts]
    assert {"MLmodel", "README.md", "evaluation.json"} <= {path.name for path in files}
    private = (str(folder), registered.base, str(Path.home()), str(REPOSITORY))
    assert [(path.name, each) for path in files for each in private if mentions(path, each)] == []
    assert all(each not in registered.description for each in private)


def test_rank_and_remaining_error_are_tags_of_the_version(registered):
    assert int(registered.tags["hfi.lora.rank"]) >= 1
    assert registered.tags["hfi.lora.weights"].startswith("lacks 0.")
    assert "of these pictures, the release " in registered.tags["hfi.lora.flagged"]
    assert registered.tags["hfi.lora.pictures"].endswith(")") and "of 255 (n 4;" in registered.tags["hfi.lora.pictures"]


def test_its_stored_example_draws_a_picture_of_the_model_s_size(registered):
    import io

    import mlflow
    from PIL import Image

    uri = registered.tags["hfi.lora"]
    model = mlflow.pyfunc.load_model(
        uri, model_config={"base_model": registered.base, "device": "cpu", "torch_dtype": torch.float32}
    )
    asked = model.metadata.load_input_example_params(uri)
    assert asked["num_inference_steps"] == registered.project.params.sampler.steps
    (picture,) = model.predict(model.input_example, params=asked)
    assert Image.open(io.BytesIO(picture)).size == (asked["width"], asked["height"]) == (64, 64)


def test_a_base_on_the_hub_is_named_by_the_commit_of_the_params_and_nobody_is_asked(registered, monkeypatch, tmp_path):
    from mlflow.models import Model

    requests = []
    monkeypatch.setattr("mlflow.utils.huggingface_utils.get_latest_commit_for_repo", requests.append)
    params = registered.project.params
    source = Source(source="owner/name", revision=COMMIT, digest=params.model.digest)
    save_adapter(
        params.model_copy(update={"model": source}), registered.project.folder / "release", tmp_path / "saved", Model()
    )
    flavor = Model.load(str(tmp_path / "saved")).flavors["diffusers"]
    assert (flavor["base_model"], flavor["base_model_revision"]) == ("owner/name", COMMIT)
    assert requests == []
