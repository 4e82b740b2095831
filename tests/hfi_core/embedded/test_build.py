"""The builder makes everything that the package ships, and continues after an interruption."""

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPModel, CLIPTokenizer

from hfi_core.embedded import training
from hfi_core.embedded.build import JUDGES, build
from hfi_core.embedded.networks import JudgeNetwork
from hfi_core.embedded.training import MINIATURE
from hfi_core.io.tensors import load_tensors
from hfi_core.models.weights import digest_of_weights
from tests.support.stopped import Stopped

SHIPPED = ("pipeline", "clip", *(f"judges/{name}" for name in JUDGES))


def test_a_build_that_is_stopped_before_each_network_gives_the_same_bytes(miniature, tmp_path, monkeypatch):
    stopped = []
    for name in ("train_vae", "train_denoiser", "train_clip", "train_judge"):
        with monkeypatch.context() as patch:

            def stop(*_, name=name):
                stopped.append(name)
                raise Stopped

            patch.setattr(training, name, stop)
            with pytest.raises(Stopped):
                build(tmp_path, MINIATURE)
    build(tmp_path, MINIATURE)
    assert stopped == ["train_vae", "train_denoiser", "train_clip", "train_judge"]
    assert {part: digest_of_weights(tmp_path / part) for part in SHIPPED} == {
        part: digest_of_weights(miniature / part) for part in SHIPPED
    }


def test_a_finished_build_is_not_trained_again(miniature, monkeypatch):
    for name in ("train_vae", "train_denoiser", "train_clip", "train_judge"):
        monkeypatch.delattr(training, name)
    before = {part: digest_of_weights(miniature / part) for part in SHIPPED}
    build(miniature, MINIATURE)
    assert {part: digest_of_weights(miniature / part) for part in SHIPPED} == before


def test_diffusers_loads_and_runs_the_pipeline(miniature):
    pipeline = StableDiffusionPipeline.from_pretrained(miniature / "pipeline", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a red badge", num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (64, 64, 3)


def test_transformers_loads_clip(miniature):
    clip = CLIPModel.from_pretrained(miniature / "clip")
    tokenizer = CLIPTokenizer.from_pretrained(miniature / "clip")
    assert clip.config.text_config.vocab_size == len(tokenizer)


def test_the_two_judges_differ(miniature):
    weights = [load_tensors(miniature / "judges" / name / "model.safetensors")[0] for name in JUDGES]
    for tensors in weights:
        JudgeNetwork().load_state_dict(tensors)
    assert not torch.equal(weights[0]["heads.kind.weight"], weights[1]["heads.kind.weight"])


def test_shipped_files_do_not_contain_the_path_of_the_build(miniature):
    for part in SHIPPED:
        for path in (miniature / part).rglob("*.json"):
            assert str(miniature.parent) not in path.read_text(), path


def test_everything_shipped_is_half_precision_safetensors(miniature):
    paths = [path for part in SHIPPED for path in (miniature / part).rglob("*") if path.is_file()]
    assert {path.suffix for path in paths} <= {".safetensors", ".json", ".txt"}
    for path in paths:
        if path.suffix == ".safetensors":
            kinds = {tensor.dtype for tensor in load_tensors(path)[0].values() if tensor.is_floating_point()}
            assert kinds == {torch.float16}, path
