"""`hfi params pin` writes digests of weights that stages can load, or nothing."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from flows.doctor.machine import check_machine
from flows.estimation.estimate import estimate_run
from flows.project.pins import pin_digests
from hfi_core.errors import UserError
from hfi_core.params.values import UNPINNED
from tests.support.other_model import build_other_model


@pytest.fixture
def owned(project, tmp_path, monkeypatch):
    """A project on a model and a CLIP of its own, in folders that a test can break."""
    monkeypatch.chdir(project.folder)
    build_other_model(tmp_path / "own")
    project.edit(
        model__source=str(tmp_path / "own/pipeline"), model__digest=UNPINNED, feedback__simulated={},
        clip__source=str(tmp_path / "own/clip"), clip__digest=UNPINNED,
    )  # fmt: skip
    return project, tmp_path / "own"


def _pin(project):
    return {key: new for key, _, new in pin_digests(project.folder / "params.yaml")}


def test_pinned_weights_are_those_that_the_doctor_expects(owned):
    project, _ = owned
    pinned = _pin(project)
    assert project.params.model.digest == pinned["model.digest"] != UNPINNED
    assert all(finding.ok for finding in check_machine() if finding.name in ("model", "clip", "judge"))


def fp16_only(own):
    path = own / "pipeline/unet/diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".fp16.safetensors"))


def pickled_clip(own):
    (own / "clip/model.safetensors").rename(own / "clip/pytorch_model.bin")


def pointer(own):
    (own / "pipeline/vae/diffusion_pytorch_model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")


def another_family(own):
    index = json.loads((own / "pipeline/model_index.json").read_text()) | {"_class_name": "FluxPipeline"}
    (own / "pipeline/model_index.json").write_text(json.dumps(index))


def no_network(own):
    shutil.rmtree(own / "pipeline/text_encoder")


@pytest.mark.parametrize(
    ("fault", "name", "message"),
    [
        (fp16_only, "model", r"unet/diffusion_pytorch_model\.safetensors is missing"),
        (pickled_clip, "clip", r"clip/model\.safetensors is missing"),
        (pointer, "model", r"vae/diffusion_pytorch_model\.safetensors is a pointer"),
        (another_family, "model", "describes a FluxPipeline"),
        (no_network, "model", "pipeline/text_encoder is missing"),
    ],
)
def test_unusable_weights_are_not_pinned_and_the_doctor_names_them(owned, fault, name, message):
    project, own = owned
    _pin(project)
    before = (project.folder / "params.yaml").read_bytes()
    fault(own)
    with pytest.raises(UserError, match=message):
        _pin(project)
    assert (project.folder / "params.yaml").read_bytes() == before
    (finding,) = (finding for finding in check_machine() if finding.name == name)
    with pytest.raises(UserError, match=message):
        raise UserError(finding.message)
    assert not finding.ok


def imported(project, tmp_path, tensors):
    """Add a row of somebody else's weights to the params, not pinned yet."""
    save_file(tensors, tmp_path / "theirs.safetensors")
    rows = {row: removal.model_dump(mode="json") for row, removal in project.params.removals.items()}
    source = str(tmp_path / "theirs.safetensors")
    project.edit(
        removals=rows | {"theirs": {"method": "imported", "source": source, "kind": "unet", "digest": UNPINNED}}
    )


def test_an_imported_row_is_pinned_and_the_doctor_knows_it(owned, tmp_path):
    project, own = owned
    weights = load_file(own / "pipeline/unet/diffusion_pytorch_model.safetensors")
    imported(project, tmp_path, {"conv_in.weight": weights["conv_in.weight"] + 1})
    assert [finding.ok for finding in check_machine() if finding.name == "row theirs"] == [False]
    pinned = _pin(project)
    assert project.params.removals["theirs"].digest == pinned["removals.theirs.digest"] != UNPINNED
    assert [finding.ok for finding in check_machine() if finding.name == "row theirs"] == [True]
    disk = next(line for line in estimate_run(project.params, None) if line.name == "disk, models")
    assert f"at most {weights['conv_in.weight'].numel():,} parameters of theirs" in disk.source


def test_an_imported_row_of_another_base_is_neither_pinned_nor_planned(owned, tmp_path):
    project, _ = owned
    imported(project, tmp_path, {"conv_in.weight": torch.zeros(320, 4, 3, 3)})
    before = (project.folder / "params.yaml").read_bytes()
    with pytest.raises(UserError, match=r"conv_in\.weight \(320, 4, 3, 3\) does not fit the base: \("):
        pin_digests(project.folder / "params.yaml")
    assert (project.folder / "params.yaml").read_bytes() == before
    imported(project, tmp_path, {"conv_in.weight": torch.zeros(1)})
    with pytest.raises(UserError, match=r"conv_in\.weight \(1\) does not fit the base"):
        estimate_run(project.params, None)
