"""What others changed is read as the base's tensors; what does not fit is refused by its first wrong tensor."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from hfi_core.errors import UserError
from hfi_core.models.imported import read_imported, require_fitting
from hfi_core.params import Imported
from tests.support.imported import imported_row, noise

CROSS = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(scope="module")
def base(miniature) -> Path:
    return miniature / "pipeline"


@pytest.fixture(scope="module")
def unet(base) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(base / "unet", dtype=torch.float32)


@pytest.fixture(scope="module")
def text_encoder(base) -> CLIPTextModel:
    return CLIPTextModel.from_pretrained(base / "text_encoder", dtype=torch.float32)


def read(source: Path, kind: str, base: Path) -> dict[str, torch.Tensor]:
    spec = Imported(**imported_row(source, kind))
    weights = read_imported("theirs", spec, base)
    assert require_fitting("theirs", spec, base) >= sum(value.numel() for value in weights.values())
    return weights


def moved(network: torch.nn.Module, *names: str) -> dict[str, torch.Tensor]:
    """A network's whole state, in which the tensors of these names are others."""
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    for name in names:
        state[name] += noise(name, shape=tuple(state[name].shape))
    return state


@pytest.mark.parametrize("prefix", ["", "unet.", "module.", "module.unet."])
def test_of_a_whole_unet_only_what_differs_is_kept(base, unet, tmp_path, prefix):
    state = moved(unet, CROSS, "conv_in.weight", "conv_norm_out.bias")
    save_file({f"{prefix}{name}": value for name, value in state.items()}, tmp_path / "theirs.safetensors")
    weights = read(tmp_path / "theirs.safetensors", "unet", base)
    assert set(weights) == {CROSS, "conv_in.weight", "conv_norm_out.bias"}
    assert all(torch.equal(value, state[name]) for name, value in weights.items())


def test_a_unet_may_be_partial_and_in_half_precision(base, unet, tmp_path):
    half = moved(unet, CROSS)[CROSS].half()
    save_file({CROSS: half}, tmp_path / "theirs.safetensors")
    weights = read(tmp_path / "theirs.safetensors", "unet", base)
    assert list(weights) == [CROSS] and torch.equal(weights[CROSS], half.float())


@pytest.mark.parametrize("prefix", ["", "text_model.", "text_encoder.text_model."])
def test_a_text_encoder_has_its_names_with_and_without_the_prefix_of_transformers(base, text_encoder, tmp_path, prefix):
    changed = "encoder.layers.1.mlp.fc1.bias"
    state = {name.removeprefix("text_model."): value for name, value in moved(text_encoder).items()}
    state[changed] = state[changed] + 1
    state["embeddings.position_ids"] = torch.arange(20)[None]
    save_file({f"{prefix}{name}": value for name, value in state.items()}, tmp_path / "theirs.safetensors")
    weights = read(tmp_path / "theirs.safetensors", "text_encoder", base)
    assert list(weights) == [f"text_encoder.{changed}"]
    assert torch.equal(weights[f"text_encoder.{changed}"], state[changed])


def test_a_folder_that_save_pretrained_wrote_is_read_like_a_file(base, unet, tmp_path):
    other = UNet2DConditionModel.from_config(unet.config)
    other.load_state_dict(moved(unet, CROSS))
    other.save_pretrained(tmp_path / "theirs")
    assert list(read(tmp_path / "theirs", "unet", base)) == [CROSS]


@pytest.fixture
def pipeline(base, tmp_path) -> Path:
    """A pipeline whose UNet and text encoder differ from the base's in one tensor each."""
    pipe = StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    pipe.unet.load_state_dict(moved(pipe.unet, CROSS))
    with torch.no_grad():
        pipe.text_encoder.get_input_embeddings().weight[3] += 1
    pipe.save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def test_a_pipeline_gives_what_differs_in_unet_and_text_encoder(base, pipeline):
    assert set(read(pipeline, "pipeline", base)) == {CROSS, "text_encoder.embeddings.token_embedding.weight"}


def test_a_pipeline_that_computes_otherwise_is_refused_by_the_setting(base, pipeline):
    path = pipeline / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "sample"}))
    with pytest.raises(UserError, match=r"prediction_type is 'sample', and the base's is 'epsilon'|v_prediction"):
        read(pipeline, "pipeline", base)
    shutil.copyfile(base / "scheduler/scheduler_config.json", path)
    path = pipeline / "unet/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"attention_head_dim": 2}))
    with pytest.raises(UserError, match=r"unet/config\.json: attention_head_dim is 2"):
        read(pipeline, "pipeline", base)


def test_a_pipeline_with_another_vae_is_refused_and_one_in_half_precision_is_not(base, pipeline):
    path = pipeline / "vae/diffusion_pytorch_model.safetensors"
    state = load_file(path)
    save_file({name: value.bfloat16() for name, value in state.items()}, path)
    assert read(pipeline, "pipeline", base)
    state["decoder.conv_out.bias"] += 1
    save_file(state, path)
    with pytest.raises(UserError, match=r"decoder\.conv_out\.bias differs from the base's"):
        read(pipeline, "pipeline", base)


def _renamed(path: Path) -> None:
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(2)}, path)


def _misshapen(path: Path) -> None:
    save_file({CROSS: torch.zeros(32, 768), "zzz": torch.zeros(1)}, path)


def _quantised(path: Path) -> None:
    save_file({CROSS: torch.zeros(32, 64, dtype=torch.int8)}, path)


def _not_finite(path: Path) -> None:
    save_file({CROSS: torch.full((32, 64), torch.nan)}, path)


def _empty(path: Path) -> None:
    save_file({}, path)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({CROSS: [0.0]}))


def _truncated(path: Path) -> None:
    save_file({CROSS: torch.zeros(32, 64)}, path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_renamed, r"model\.diffusion_model\.input_blocks\.0\.0\.weight \(2\) .* has no such tensor"),
        (_misshapen, r"attn2\.to_k\.weight \(32, 768\) does not fit the base: \(32, 64\) is expected"),
        (_quantised, r"attn2\.to_k\.weight is stored as I8"),
        (_not_finite, r"attn2\.to_k\.weight has values that are not finite"),
        (_empty, "has no tensors"),
        (_pickled, "is not a whole safetensors file .*\n.* Pickles"),
        (_truncated, "is not a whole safetensors file"),
    ],
)
def test_a_file_that_cannot_be_used_gives_one_message(base, tmp_path, fault, message):
    path = tmp_path / "theirs.safetensors"
    fault(path)
    with pytest.raises(UserError, match=message) as caught:
        read(path, "unet", base)
    assert len(str(caught.value)) < 900


def test_a_copy_of_the_base_is_not_a_removal(base):
    with pytest.raises(UserError, match="changes nothing"):
        read(base, "pipeline", base)


def test_other_weights_than_the_pinned_ones_are_refused(base, tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({CROSS: torch.zeros(32, 64)}, path)
    spec = Imported(**imported_row(path, "unet"))
    save_file({CROSS: torch.ones(32, 64)}, path)
    with pytest.raises(UserError, match=r"removals\.theirs .*\n  pinned .*\n  found .*\n.*hfi params pin"):
        read_imported("theirs", spec, base)


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("nowhere", "unet", "removals.theirs.source .* is missing"),
        ("file", "pipeline", "is a file; a pipeline is a folder"),
        (".", "lora", "is a folder; name the LoRA's safetensors file"),
    ],
)
def test_a_source_of_the_wrong_sort_is_named(base, tmp_path, source, kind, message):
    (tmp_path / "file").touch()
    spec = Imported(method="imported", source=str(tmp_path / source), kind=kind, digest="sha256:" + "0" * 64)
    with pytest.raises(UserError, match=message):
        require_fitting("theirs", spec, base)
