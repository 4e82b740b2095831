"""Weights are found where params say, and are refused when they are other ones."""

import httpx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.io.tensors import save_tensors
from hfi_core.models.weights import digest_of_weights, locate_pinned, locate_weights


@pytest.fixture
def folder(tmp_path):
    """A model folder with weights, configuration, and files that are neither."""
    folder = tmp_path / "model"
    save_tensors(folder / "unet" / "weights.safetensors", {"a": torch.arange(8.0)})
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "merges.txt").write_text("a b\n")
    (folder / "notes.md").write_text("notes")
    return folder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_digest_changes_with_any_byte_of_weights_and_configuration(folder, data):
    before = digest_of_weights(folder)
    name = data.draw(st.sampled_from(["unet/weights.safetensors", "config.json", "merges.txt"]))
    content = (folder / name).read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    (folder / name).write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
    try:
        assert digest_of_weights(folder) != before
    finally:
        (folder / name).write_bytes(content)
    assert digest_of_weights(folder) == before


def test_a_digest_changes_with_a_name_and_with_a_file_more_or_less(folder):
    digests = {digest_of_weights(folder)}
    (folder / "config.json").rename(folder / "other.json")
    digests.add(digest_of_weights(folder))
    (folder / "other.json").unlink()
    digests.add(digest_of_weights(folder))
    assert len(digests) == 3


def test_a_digest_does_not_see_notes_hidden_files_and_hidden_folders(folder):
    before = digest_of_weights(folder)
    (folder / "notes.md").write_text("others")
    (folder / ".hidden.json").write_text("{}")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "download.json").write_text("{}")
    assert digest_of_weights(folder) == before


def test_a_digest_does_not_depend_on_where_the_folder_lies(folder, tmp_path):
    before = digest_of_weights(folder)
    (tmp_path / ".hidden").mkdir()
    assert digest_of_weights(folder.rename(tmp_path / ".hidden" / "elsewhere")) == before


def test_a_digest_of_a_diffusers_folder_sees_what_is_loaded_and_nothing_else(folder):
    (folder / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"], "vae": [null, null]}')
    before = digest_of_weights(folder)
    for name in ("v1-5-pruned.safetensors", "unet/weights.fp16.safetensors", "onnx/config.json", "vae/config.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert digest_of_weights(folder) == before
    (folder / "unet/config.json").write_text("{}")
    assert digest_of_weights(folder) != before


def test_of_a_hub_model_only_the_index_and_its_components_are_fetched_without_variants(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    (tmp_path / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    repository = [
        "model_index.json", "v1-5-pruned.safetensors", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin", "vae_1_0/config.json",
    ]  # fmt: skip
    fetched = []

    def download(source, revision, allow_patterns, ignore_patterns):
        fetched.extend(filter_repo_objects(repository, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda source, name, revision: str(tmp_path / name))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert locate_weights("owner/name", "0" * 40, "model") == tmp_path
    assert fetched == ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"]


def test_a_folder_without_weights_is_not_a_model(tmp_path):
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(UserError, match="not the folder of a model"):
        digest_of_weights(tmp_path)


def test_the_pinned_weights_are_taken(folder):
    assert locate_pinned(str(folder), None, digest_of_weights(folder), "judge") == folder


def test_other_weights_than_the_pinned_ones_are_refused_with_both_digests(folder):
    pinned = "sha256:" + "0" * 64
    with pytest.raises(UserError) as caught:
        locate_pinned(str(folder), None, pinned, "judge")
    message = str(caught.value)
    assert (
        "`evaluate.judge`" in message
        and pinned in message
        and digest_of_weights(folder) in message
        and "hfi params pin" in message
    )


@pytest.mark.parametrize("source", [None, "embedded"])
@pytest.mark.parametrize("part", ["model", "clip", "judge", "annotators"])
def test_the_embedded_parts_lie_in_the_package_each_in_its_own_folder(source, part):
    names = {"model": "pipeline", "clip": "clip", "judge": "judges/evaluation", "annotators": "judges/annotators"}
    assert locate_weights(source, None, part).as_posix().endswith(f"hfi_core/embedded/weights/{names[part]}")


@pytest.mark.parametrize("source", ["/nowhere/model", "./nowhere", "../nowhere/model", "nowhere", "a/b/c"])
def test_a_source_that_is_neither_a_folder_nor_a_hub_id_is_refused(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"model\.source .* is not a local folder"):
        locate_weights(source, None, "model")


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("models/stable-difusion", "models/stable-diffusion"),
        ("./models/stable-difusion", "models/stable-diffusion"),
        ("modls", "models"),
        ("{here}/models/stable-difusion", "{here}/models/stable-diffusion"),
        ("~/weigths", "{here}/weights"),
    ],
)
def test_a_mistyped_folder_is_not_taken_for_a_hub_id(tmp_path, monkeypatch, source, near):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models" / "stable-diffusion").mkdir(parents=True)
    (tmp_path / "weights").mkdir()
    with pytest.raises(UserError) as caught:
        locate_weights(source.format(here=tmp_path), None, "model")
    message = str(caught.value)
    assert f"is not a local folder (did you mean {near.format(here=tmp_path)!r}?)" in message
    assert "model.revision is missing" not in message


def test_a_home_folder_is_expanded(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate_weights("~/model", None, "judge") == folder
    assert locate_pinned("~/model", None, digest_of_weights(folder), "judge") == folder


def test_a_file_in_place_of_a_folder_is_refused(folder):
    with pytest.raises(UserError, match="is a file; name the folder"):
        locate_weights(str(folder / "config.json"), None, "judge")


def test_a_hub_id_without_a_revision_is_refused():
    with pytest.raises(UserError, match=r"clip\.revision is missing"):
        locate_weights("owner/name", None, "clip")


def test_a_hub_id_that_cannot_be_reached_says_what_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as caught:
        locate_weights("owner/name", "0123abc", "model")
    message = str(caught.value)
    assert "'owner/name' at 0123abc" in message
    assert "copy the folder here, and name its path in model.source" in message


def test_a_hub_repository_without_a_model_and_one_out_of_reach_have_different_messages(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def absent(source, name, revision):
        response = httpx.Response(404, request=httpx.Request("GET", f"https://hub.invalid/{source}/{name}"))
        raise RemoteEntryNotFoundError("404", response=response)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", absent)
    with pytest.raises(UserError, match=r"has no model_index\.json, so it is not a diffusers repository"):
        locate_weights("owner/name", "0" * 40, "model")


def test_a_hub_id_in_the_local_cache_is_found_offline(monkeypatch, tmp_path):
    commit = "0" * 40
    snapshot = tmp_path / "models--owner--name" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "model_index.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert locate_weights("owner/name", commit, "model") == snapshot


def _cache(monkeypatch, tmp_path, folder):
    """Put a folder into a hub cache as its only commit, and take the network away. Return the requests made."""
    commit = "0" * 40
    snapshot = tmp_path / "hub" / "models--owner--name" / "snapshots" / commit
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    requests = []

    def request(self, *arguments, **options):
        requests.append(arguments)
        raise ConnectionError("there is no network")

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_tree", request)
    return commit, snapshot, requests


def test_a_pinned_commit_in_the_cache_needs_no_network(monkeypatch, tmp_path, folder):
    digest = digest_of_weights(folder)
    commit, snapshot, requests = _cache(monkeypatch, tmp_path, folder)
    assert locate_pinned("owner/name", commit, digest, "judge") == snapshot
    assert not requests


def test_of_an_incomplete_commit_in_the_cache_the_rest_is_fetched(monkeypatch, tmp_path, folder):
    digest = digest_of_weights(folder)
    commit, snapshot, requests = _cache(monkeypatch, tmp_path, folder)
    (snapshot / "config.json").unlink()
    with pytest.raises(UserError, match="nor reachable"):
        locate_pinned("owner/name", commit, digest, "judge")
    assert requests


def test_a_hub_id_that_does_not_exist_says_which_folder_is_near(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    def absent(source, **options):
        response = httpx.Response(404, request=httpx.Request("GET", f"https://hub.invalid/{source}"))
        raise RepositoryNotFoundError("404", response=response)

    (tmp_path / "models" / "clip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    with pytest.raises(UserError, match=r"has no such repository .*did you mean 'models/clip'\?"):
        locate_weights("models/clp", "0" * 40, "clip")
