"""Broken model folders end in one message; weights of another base are refused."""

import json
import pickle
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hfi_core.errors import UserError
from hfi_core.io.tensors import save_tensors
from hfi_core.models.diffusion.loading import WEIGHTS, load_base_model, load_safeguarded_model
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Source


@pytest.fixture
def broken(miniature, tmp_path, project):
    """A copy of the model folder to break, and a function that loads it."""
    folder = tmp_path / "model"
    shutil.copytree(miniature / "pipeline", folder)

    def load():
        return load_base_model(
            Source(source=str(folder), revision=None, digest=digest_of_weights(folder)), project.params.compute
        )

    return folder, load


def _truncate(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def _pickle(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"conv_in.weight": [0.0]}))


def _pickle_by_another_name(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(pickle.dumps({"conv_in.weight": [0.0]}))


def _other_pipeline(folder):
    index = json.loads((folder / "model_index.json").read_text())
    index["unet"] = ["diffusers", "FluxTransformer2DModel"]
    (folder / "model_index.json").write_text(json.dumps(index))


def _no_index(folder):
    (folder / "model_index.json").unlink()


def _index_not_utf8(folder):
    (folder / "model_index.json").write_bytes(b"\xff\xfe{")


def _index_a_list(folder):
    (folder / "model_index.json").write_text("[]")


def _no_tokenizer(folder):
    shutil.rmtree(folder / "tokenizer")


def _config_of_other_width(folder):
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"block_out_channels": [32, 96, 128]}))


def _sample_prediction(folder):
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "sample"}))


@pytest.mark.parametrize(
    "fault",
    [
        _truncate, _pickle, _pickle_by_another_name, _other_pipeline, _no_index, _index_not_utf8, _index_a_list,
        _no_tokenizer, _config_of_other_width, _sample_prediction,
    ],
)  # fmt: skip
def test_a_broken_folder_gives_one_message(broken, fault):
    folder, load = broken
    load()
    fault(folder)
    with pytest.raises(UserError) as caught:
        load()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_network_that_lacks_a_tensor_is_refused_by_its_name(broken, part):
    folder, load = broken
    (path,) = (folder / part).glob("*.safetensors")
    tensors = load_file(path)
    name = sorted(tensors)[-1]
    del tensors[name]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(UserError, match=rf"{part} lacks weights of a \w+: {re.escape(name)}\."):
        load()


def _unet(folder, **changes):
    from diffusers import UNet2DConditionModel

    config = UNet2DConditionModel.load_config(folder / "unet") | changes
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")


def test_an_inpainting_model_is_refused(broken):
    folder, load = broken
    _unet(folder, in_channels=9)
    with pytest.raises(UserError, match="maps 9 channels to 4, .* inpainting"):
        load()


def test_a_model_of_pictures_that_may_not_be_square_is_refused(broken):
    folder, load = broken
    _unet(folder, sample_size=[8, 12])
    with pytest.raises(UserError, match=r"sample_size is \[8, 12\]; one number is expected"):
        load()


def test_other_weights_than_the_pinned_ones_are_refused(broken, project):
    folder, _ = broken
    digest = digest_of_weights(folder)
    (folder / "unet" / "config.json").write_text((folder / "unet" / "config.json").read_text() + "\n")
    with pytest.raises(UserError, match="hfi params pin"):
        load_base_model(Source(source=str(folder), revision=None, digest=digest), project.params.compute)


def test_a_removal_of_another_base_is_refused(project, tmp_path):
    params = project.params
    save_tensors(tmp_path / WEIGHTS, {"x": torch.zeros(1)}, {"base": "sha256:" + "0" * 64})
    with pytest.raises(UserError, match="another base model"):
        load_safeguarded_model(params.model, params.compute, tmp_path)


def test_misshapen_weights_are_refused_by_name(project, tmp_path):
    params = project.params
    name = next(iter(load_base_model(params.model, params.compute).cross_attention()))
    save_tensors(tmp_path / WEIGHTS, {name: torch.zeros(1)}, {"base": params.model.digest})
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        load_safeguarded_model(params.model, params.compute, tmp_path)
