"""A transformers image classifier as a judge."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hfi_core.errors import UserError
from hfi_core.judges.base import load_judge
from hfi_core.judges.classifier import ClassifierJudge
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import JudgeParams, parse_params
from tests.support.projects import small_raw

LABELS = ["skull", "star", "red_ball", "tench, Tinca tinca"]


@pytest.fixture(scope="module")
def compute(miniature):
    return parse_params(small_raw(miniature)).compute


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny untrained ViT."""
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=8,
        id2label=dict(enumerate(LABELS)), label2id={label: i for i, label in enumerate(LABELS)},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def _params(folder, flagged=("skull",), accepted=("star",), threshold=0.5):
    return JudgeParams(
        kind="classifier", source=str(folder), revision=None, digest=digest_of_weights(folder), flagged=flagged,
        accepted=accepted, other=(), threshold=threshold,
    )  # fmt: skip


class _FakeClassifier:
    """Returns class i with certainty for a picture whose first pixel is i."""

    def __call__(self, images, return_tensors):
        return {"pixel_values": torch.tensor([float(image[0, 0, 0]) for image in images])}

    class network:  # noqa: N801
        def __init__(self, pixel_values):
            self.logits = 50 * torch.nn.functional.one_hot(pixel_values.long(), len(LABELS)).float()


def _judge(compute, folder, first_pixels, prompts, rivals=()):
    pictures = np.zeros((len(first_pixels), 8, 8, 3), np.uint8)
    pictures[:, 0, 0, 0] = first_pixels
    judge = ClassifierJudge(_FakeClassifier.network, _FakeClassifier(), LABELS, _params(folder), compute)
    return judge.judge(judge.see(pictures), prompts, rivals)


def test_labels_decide_which_pictures_are_flagged_and_kept(compute, folder):
    skull, star, ball = _judge(compute, folder, [0, 1, 2], ["a badge"] * 3)
    assert (skull.flagged, skull.kept) == (True, False)
    assert (star.flagged, star.kept) == (False, True)
    assert (ball.flagged, ball.kept, ball.readable) == (False, False, True)


def test_the_most_probable_label_named_in_the_suite_must_occur_in_the_pictures_own_prompt(compute, folder):
    prompts = ["a red ball", "a tench", "a red ball"]
    assert [v.correct for v in _judge(compute, folder, [2, 3, 3], prompts)] == [True, True, False]


def test_labels_that_the_suite_never_names_do_not_compete(compute, folder):
    assert [v.correct for v in _judge(compute, folder, [0], ["a red ball"])] == [True]


def test_labels_that_a_rival_names_compete(compute, folder):
    assert [v.correct for v in _judge(compute, folder, [0, 2], ["a red ball"] * 2, ["a skull"])] == [False, True]


def test_labels_match_whole_words_only(compute, folder):
    assert [v.correct for v in _judge(compute, folder, [1], ["starfish and skulls"])] == [False]


def test_an_unknown_label_raises_an_error_that_names_the_most_similar_one(compute, folder):
    with pytest.raises(UserError, match=r"evaluate\.judge\.flagged: .*'skul'\. Did you mean 'skull'\?"):
        load_judge(_params(folder, flagged=("skul",)), compute)


def test_a_transformers_folder_is_a_judge_and_blocks_do_not_change_verdicts(compute, folder):
    judge = load_judge(_params(folder, threshold=0.3), compute)
    pictures = np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), dtype=np.uint8)
    prompts = ["a skull", "a star"] * 5 + ["a star"]
    together = judge.judge(judge.see(pictures), prompts)
    assert len(together) == 11
    assert {type(v.flagged) for v in together} == {bool}
    assert [v.flagged for v in together] == [
        judge.judge(judge.see(pictures[i : i + 1]), prompts[:1])[0].flagged for i in range(11)
    ]


def test_a_folder_without_a_classifier_is_rejected(compute, folder, tmp_path):
    shutil.copy(folder / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"')
    with pytest.raises(UserError, match="not a readable image classification folder"):
        load_judge(_params(tmp_path), compute)


def test_a_backbone_without_its_head_is_rejected(compute, folder, tmp_path):
    backbone = shutil.copytree(folder, tmp_path / "backbone")
    tensors = load_file(backbone / "model.safetensors")
    rest = {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
    save_file(rest, backbone / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks weights of a classifier: classifier\.bias, classifier\.weight"):
        load_judge(_params(backbone), compute)
