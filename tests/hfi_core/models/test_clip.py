import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel

from hfi_core.errors import UserError
from hfi_core.models.clip import Clip
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Compute, Source

COMPUTE = Compute(device="cpu", dtype="float32", threads=2, block=8, checkpointing=False)
PICTURES = np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), np.uint8)


def _load(folder):
    return Clip.load(Source(source=str(folder), revision=None, digest=digest_of_weights(folder)), COMPUTE)


@pytest.fixture(scope="module")
def clip(miniature):
    return _load(miniature / "clip")


@pytest.fixture
def copied(miniature, tmp_path):
    return shutil.copytree(miniature / "clip", tmp_path / "clip")


def test_embeddings_have_length_1_and_are_those_of_transformers(clip, miniature):
    features = clip.image_features(PICTURES[:3], 3)
    pixels = torch.from_numpy(PICTURES[:3]).permute(0, 3, 1, 2) / 127.5 - 1
    model = CLIPModel.from_pretrained(miniature / "clip", dtype=torch.float32).eval()
    with torch.no_grad():
        raw = model.get_image_features(pixel_values=pixels).pooler_output
    assert features.shape == (3, clip.width) and features.dtype == torch.float32
    assert torch.allclose(features, raw / raw.norm(dim=1, keepdim=True), atol=1e-5)
    assert torch.allclose(features.norm(dim=1), torch.ones(3))


def test_batching_changes_no_bit_of_a_pictures_embedding(clip):
    every = clip.image_features(PICTURES, 4)
    assert torch.equal(clip.image_features(PICTURES[10:], 4), every[10:])
    assert torch.equal(clip.image_features(PICTURES[2:9], 4), every[2:9])
    assert torch.equal(clip.image_features(list(PICTURES[::-1]), 4), every.flip(0))


def test_batching_changes_no_bit_of_a_texts_embedding(clip):
    texts = [f"a red badge {k}" for k in range(19)]
    every = clip.text_features(texts)
    assert every.shape == (19, clip.width)
    assert torch.equal(clip.text_features(texts[17:]), every[17:])


def test_no_pictures_and_no_texts_have_no_embeddings(clip):
    assert clip.image_features(PICTURES[:0], 4).shape == (0, clip.width)
    assert clip.text_features([]).shape == (0, clip.width)


def test_pictures_of_another_size_and_texts_of_any_length_are_embedded(clip):
    assert clip.image_features([PICTURES[0], np.zeros((80, 120, 3), np.uint8)], 2).shape == (2, clip.width)
    assert torch.isfinite(clip.text_features(["badge " * 200, ""])).all()


def test_the_logit_scale_is_the_models_own(clip):
    assert clip.logit_scale == pytest.approx(float(clip.model.logit_scale.exp()))


def test_other_weights_than_params_pin_are_refused(miniature):
    source = Source(source=str(miniature / "clip"), revision=None, digest="sha256:" + "0" * 64)
    with pytest.raises(UserError, match="not the ones that params.yaml pins"):
        Clip.load(source, COMPUTE)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"\x80\x05\x95 a pickle"),
        ("model.safetensors", b""),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "bert"}'),
        ("processor_config.json", b"\xff\xfe"),
        ("tokenizer.json", b"[1"),
    ],
)
def test_a_broken_folder_is_refused_with_its_name(copied, name, content):
    (copied / name).write_bytes(content)
    with pytest.raises(UserError, match=str(copied)):
        _load(copied)


def test_weights_that_lack_a_layer_are_refused_instead_of_made_up(copied):
    weights = load_file(copied / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "visual_projection.weight"}, copied / "model.safetensors")
    with pytest.raises(UserError, match="lacks weights of a CLIP model: visual_projection.weight"):
        _load(copied)


def test_a_pickle_beside_no_safetensors_is_never_opened(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        _load(copied)
