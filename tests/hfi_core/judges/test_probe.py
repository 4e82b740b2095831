"""The judge that divides what is on topic by a probe of people's answers."""

import numpy as np
import pytest
import torch

from hfi_core.errors import UserError
from hfi_core.judges.base import load_judge
from hfi_core.judges.clip import ClipJudge
from hfi_core.judges.probe import CARD, WEIGHTS, Probe, ProbeJudge
from hfi_core.models.clip import Clip
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import JudgeParams, Source, parse_params
from tests.support.projects import small_raw

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def compute(miniature):
    return parse_params(small_raw(miniature)).compute


@pytest.fixture
def probe(miniature):
    """A probe with two folds, on the CLIP of the miniature model."""
    folder, generator = miniature / "clip", torch.Generator().manual_seed(0)
    source = Source(source=str(folder), revision=None, digest=digest_of_weights(folder))
    weight, bias = torch.randn(2, 64, generator=generator), torch.randn(2, generator=generator)
    return Probe(weight, bias, {"clip": source.model_dump(mode="json")})


def params(folder, other=("a tree",), threshold=0.5, **changes) -> JudgeParams:
    fields = {
        "kind": "probe", "source": str(folder), "revision": None, "digest": digest_of_weights(folder),
        "flagged": ("a skull",), "accepted": ("a star",), "other": other, "threshold": threshold,
    }  # fmt: skip
    return JudgeParams.model_validate(fields | changes)


def test_the_mean_logit_of_the_folds_divides_what_is_on_topic(probe, compute, tmp_path):
    probe.save(tmp_path)
    judge = load_judge(params(tmp_path), compute)
    assert isinstance(judge, ProbeJudge)
    seen = judge.see(PICTURES)
    by_words = ClipJudge(judge.clip, params(tmp_path), compute).group_probabilities(seen)
    for features, (_, _, other), verdict in zip(
        seen, by_words.tolist(), judge.judge(seen, ["a star"] * 6), strict=True
    ):
        logits = [float(features @ weight + bias) for weight, bias in zip(probe.weight, probe.bias, strict=True)]
        objectionable = 1 / (1 + np.exp(-np.mean(logits)))
        assert verdict.scores.flagged == pytest.approx((1 - other) * objectionable, abs=1e-5)
        assert verdict.scores.accepted == pytest.approx((1 - other) * (1 - objectionable), abs=1e-5)
        assert verdict.flagged == (verdict.scores.flagged >= 0.5)


def test_without_other_words_every_picture_is_on_topic(probe, compute, tmp_path):
    probe.save(tmp_path)
    judge = load_judge(params(tmp_path, other=()), compute)
    for verdict in judge.judge(judge.see(PICTURES), ["a star"] * 6):
        assert verdict.scores.flagged + verdict.scores.accepted == pytest.approx(1, abs=1e-5)
        assert verdict.flagged != verdict.kept


def test_what_was_saved_is_loaded(probe, tmp_path):
    probe.save(tmp_path)
    loaded = Probe.load(tmp_path)
    assert torch.equal(loaded.weight, probe.weight) and torch.equal(loaded.bias, probe.bias)
    assert loaded.card == probe.card and loaded.clip == probe.clip


def another_digest(folder, probe):
    clip = probe.card["clip"] | {"digest": "sha256:" + "1" * 64}
    Probe(probe.weight, probe.bias, {"clip": clip}).save(folder)


def another_width(folder, probe):
    Probe(probe.weight[:, :32], probe.bias, probe.card).save(folder)


def no_clip(folder, probe):
    Probe(probe.weight, probe.bias, {}).save(folder)


def torn_weights(folder, probe):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])


def other_tensors(folder, probe):
    Probe(probe.weight, probe.bias[:1], probe.card).save(folder)


def no_card(folder, probe):
    (folder / CARD).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (another_digest, "The CLIP that .*card.json names"),
        (another_width, "reads embeddings of 32 numbers, and its CLIP gives 64"),
        (no_clip, "is not a probe"),
        (torn_weights, "is not a readable safetensors file"),
        (other_tensors, "is not a probe"),
        (no_card, "card.json"),
    ],
)
def test_a_spoilt_folder_is_refused(probe, compute, tmp_path, spoil, message):
    probe.save(tmp_path)
    spoil(tmp_path, probe)
    with pytest.raises(UserError, match=message):
        if spoil is torn_weights:
            Probe.load(tmp_path)
        else:
            load_judge(params(tmp_path), compute)


def test_a_probe_has_no_words_of_other_concepts(tmp_path, probe):
    probe.save(tmp_path)
    words = {"flagged": ("a skull",), "accepted": ("a star",)}
    with pytest.raises(ValueError, match="fitted to one concept"):
        params(tmp_path, concepts={"badge": words})


def test_the_clip_that_it_reads_is_the_one_of_its_card(probe, compute, tmp_path):
    probe.save(tmp_path)
    judge = load_judge(params(tmp_path), compute)
    assert torch.equal(judge.see(PICTURES), Clip.load(probe.clip, compute).image_features(PICTURES, compute.block))
