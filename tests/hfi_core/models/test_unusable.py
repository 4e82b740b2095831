"""A folder without usable weights has no digest that covers them: it is refused with the file that is missing."""

import json
import shutil

import pytest

from hfi_core.errors import UserError
from hfi_core.models.weights import digest_of_weights, locate_pinned, require_usable
from tests.support.other_model import build_other_model, shard_weights

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 3438167540\n".format("0" * 64)
UNET = "pipeline/unet/diffusion_pytorch_model.safetensors"
CLIP = "clip/model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_other_model(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def fp16_only(path):
    path.rename(path.with_suffix(".fp16.safetensors"))


def pickled_only(path):
    path.rename(path.with_suffix(".bin"))


def pointer(path):
    path.write_text(POINTER)


def lost_blob(path):
    path.unlink()
    path.symlink_to("../../blobs/0123")


def missing(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def missing_shard(path):
    shard_weights(path)[1].unlink()


def pointer_in_a_shard(path):
    pointer(shard_weights(path)[0])


def damaged_index(path):
    shard_weights(path)
    path.with_suffix(".safetensors.index.json").write_text('{"weight_map": {}}')


FAULTS = [
    (fp16_only, r"is missing\. The folder has only a variant, \w+\.fp16\.safetensors"),
    (pickled_only, r"is missing\. The folder has \w+\.bin, which this package does not read"),
    (pointer, r"model\.safetensors is a pointer of Git LFS"),
    (lost_blob, r"model\.safetensors is a link to a file that is lost"),
    (missing, r"model\.safetensors is missing\."),
    (cut, r"model\.safetensors is not a whole safetensors file"),
    (empty, r"model\.safetensors is not a whole safetensors file"),
    (missing_shard, r"model-00002-of-00002\.safetensors is missing"),
    (pointer_in_a_shard, r"model-00001-of-00002\.safetensors is a pointer"),
    (damaged_index, r"index\.json is not an index of safetensors files"),
]


@pytest.mark.parametrize(("part", "file"), [("model", UNET), ("clip", CLIP)])
@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_unusable_weights_are_refused_by_name_and_say_what_to_do(folder, part, file, fault, message):
    source = folder / file.partition("/")[0]
    digest = digest_of_weights(source)
    require_usable(source, part)
    fault(folder / file)
    with pytest.raises(UserError, match=message) as caught:
        require_usable(source, part)
    assert "To fix this:" in str(caught.value)
    with pytest.raises(UserError, match=message):
        locate_pinned(str(source), None, digest, part)


@pytest.mark.parametrize("file", [UNET, CLIP])
@pytest.mark.parametrize("fault", [pointer, lost_blob, missing_shard, pointer_in_a_shard, damaged_index])
def test_they_have_no_digest(folder, file, fault):
    fault(folder / file)
    with pytest.raises(UserError):
        digest_of_weights(folder / file.partition("/")[0])


@pytest.mark.parametrize("fault", [fp16_only, pickled_only, pointer, lost_blob, missing, missing_shard])
def test_a_judge_without_weights_has_no_digest(folder, fault):
    fault(folder / "classifier" / "model.safetensors")
    with pytest.raises(UserError):
        digest_of_weights(folder / "classifier")


@pytest.mark.parametrize("file", [UNET, CLIP])
def test_shards_are_weights(folder, file):
    source = folder / file.partition("/")[0]
    before = digest_of_weights(source)
    shard_weights(folder / file)
    require_usable(source, "model" if file == UNET else "clip")
    assert digest_of_weights(source) != before


@pytest.mark.parametrize("name", ["unet", "scheduler", "tokenizer", "text_encoder"])
def test_a_missing_subfolder_is_named(folder, name):
    shutil.rmtree(folder / "pipeline" / name)
    with pytest.raises(UserError, match=rf"pipeline/{name} is missing, but model_index\.json names it"):
        require_usable(folder / "pipeline", "model")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("clip/tokenizer.json", r"clip/tokenizer\.json is missing"),
        ("clip/processor_config.json", r"clip/preprocessor_config\.json is missing"),
        ("clip/config.json", r"clip/config\.json is missing"),
        ("pipeline/tokenizer/tokenizer.json", r"tokenizer\.json is missing"),
        ("pipeline/scheduler/scheduler_config.json", r"scheduler_config\.json is missing"),
    ],
)
def test_a_missing_file_is_named(folder, file, message):
    (folder / file).unlink()
    with pytest.raises(UserError, match=message):
        require_usable(folder / file.partition("/")[0], file.partition("/")[0].replace("pipeline", "model"))


def test_a_model_of_another_kind_is_not_a_clip(folder):
    config = json.loads((folder / "clip/config.json").read_text()) | {"model_type": "siglip"}
    (folder / "clip/config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="describes a model of the type 'siglip'"):
        require_usable(folder / "clip", "clip")


def test_configuration_alone_has_no_digest(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="has no safetensors that are read"):
        digest_of_weights(tmp_path)
