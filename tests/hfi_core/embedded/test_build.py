"""The builder makes everything that the package ships, and continues after an interruption."""

from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPModel, CLIPTokenizer

from hfi_core.embedded import training
from hfi_core.embedded.build import JUDGES, build, main
from hfi_core.embedded.networks import JudgeNetwork, build_scheduler, load_judge_network
from hfi_core.embedded.scenes import BADGES, SIGNS
from hfi_core.embedded.tokenizer import build_tokenizer
from hfi_core.embedded.training import MAX_WEIGHT, MINIATURE, weigh_timesteps
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


def test_the_second_base_model_has_its_own_words_and_judges(miniature, miniature_signs):
    pipeline = StableDiffusionPipeline.from_pretrained(miniature_signs / "pipeline", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.tokenizer.tokenize("a crimson sign") == ["a</w>", "crimson</w>", "sign</w>"]
    image = pipeline("a crimson sign with an axe", num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (64, 64, 3)
    assert all(load_judge_network(miniature_signs / "judges" / name).world is SIGNS for name in JUDGES)
    for part in SHIPPED:
        assert digest_of_weights(miniature / part) != digest_of_weights(miniature_signs / part)


def test_the_command_builds_the_world_that_it_is_told(miniature_signs, tmp_path, capsys):
    arguments = [str(tmp_path / "model"), "--world", "signs", "--miniature", "--threads", "1"]
    assert main(arguments) == 0
    assert "judge evaluation 3/3" in capsys.readouterr().out
    assert {part: digest_of_weights(tmp_path / "model" / part) for part in SHIPPED} == {
        part: digest_of_weights(miniature_signs / part) for part in SHIPPED
    }


def test_transformers_loads_clip(miniature):
    clip = CLIPModel.from_pretrained(miniature / "clip")
    tokenizer = CLIPTokenizer.from_pretrained(miniature / "clip")
    assert clip.config.text_config.vocab_size == len(tokenizer)


def test_the_two_judges_differ(miniature):
    weights = [load_tensors(miniature / "judges" / name / "model.safetensors")[0] for name in JUDGES]
    for tensors in weights:
        JudgeNetwork(BADGES).load_state_dict(tensors)
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


def test_the_refinement_weighs_errors_of_eps_as_those_of_v():
    alpha_bar = build_scheduler().alphas_cumprod
    weights, t = weigh_timesteps(alpha_bar), torch.arange(0, len(alpha_bar), 100)
    a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    x0, eps, estimate = torch.randn(3, len(t), generator=torch.Generator().manual_seed(0))
    estimated_x0 = (a * x0 + s * eps - s * estimate) / a
    of_v = ((a * estimate - s * estimated_x0) - (a * eps - s * x0)).square()
    capped = 1 / alpha_bar[t] > MAX_WEIGHT
    ratio = weights[t] * (estimate - eps).square() / of_v
    torch.testing.assert_close(ratio[~capped], ratio[0].expand(int((~capped).sum())), rtol=1e-3, atol=0)
    assert (weights[t][capped] == weights.max()).all() and weights.mean() == pytest.approx(1)


def test_a_world_may_begin_with_the_networks_of_another(miniature, tmp_path):
    start = StableDiffusionPipeline.from_pretrained(miniature / "pipeline", dtype=torch.float32)
    untrained = replace(MINIATURE, vae=0, denoiser=0, refinement=0)
    tokenizer = build_tokenizer(SIGNS)
    vae = training.train_vae(SIGNS, untrained, tmp_path, lambda *_: None, start.vae)
    unet, text_encoder = training.train_denoiser(
        SIGNS, untrained, vae, tokenizer, tmp_path, lambda *_: lambda *_: None, start
    )
    for made, begun in ((vae, start.vae), (unet, start.unet), (text_encoder.encoder, start.text_encoder.encoder)):
        assert all(torch.equal(value, begun.state_dict()[name]) for name, value in made.state_dict().items())
    mine, theirs = text_encoder.get_input_embeddings().weight, start.text_encoder.get_input_embeddings().weight
    known, own = start.tokenizer.get_vocab(), tokenizer.get_vocab()
    assert "with</w>" in own.keys() & known.keys()
    for word in own.keys() & known.keys():
        assert torch.equal(mine[own[word]], theirs[known[word]]), word
    assert "sign</w>" not in known and not (mine[own["sign</w>"]] == theirs).all(1).any()


def test_a_pipeline_that_is_not_there_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "model"), "--world", "signs", "--start", str(tmp_path / "nowhere")])
    assert end.value.code == 2 and "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_the_command_continues_from_a_pipeline(miniature, miniature_signs, tmp_path):
    arguments = ["--world", "signs", "--miniature", "--threads", "1", "--start", str(miniature / "pipeline")]
    assert main([str(tmp_path / "model"), *arguments]) == 0
    assert digest_of_weights(tmp_path / "model" / "pipeline") != digest_of_weights(miniature_signs / "pipeline")
    assert load_judge_network(tmp_path / "model" / "judges" / "evaluation").world is SIGNS
