"""Tensors on disk are safetensors, equal for equal tensors, and nothing else is read."""

import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors
from tests.support.small_disk import small_disk

TENSORS = {
    "b": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.tensor([True, False]),
    "c": torch.tensor(1.5, dtype=torch.float16),
    "e": torch.zeros(0, 4, dtype=torch.bfloat16),
}


def test_tensors_and_their_meta_come_back(tmp_path):
    save_tensors(tmp_path / "t.safetensors", TENSORS, {"step": 3, "name": "ü"})
    tensors, meta = load_tensors(tmp_path / "t.safetensors")
    assert meta == {"step": 3, "name": "ü"}
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype and torch.equal(tensors[name], tensor)


def test_no_meta_comes_back_as_none(tmp_path):
    save_tensors(tmp_path / "t.safetensors", TENSORS)
    assert load_tensors(tmp_path / "t.safetensors")[1] is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.permutations(sorted(TENSORS)), keys=st.permutations(["x", "y", "z"]))
def test_equal_tensors_are_equal_bytes_in_any_order(tmp_path, names, keys):
    save_tensors(tmp_path / "one", TENSORS, {"x": 1, "y": 1, "z": 1})
    save_tensors(tmp_path / "two", {name: TENSORS[name] for name in names}, dict.fromkeys(keys, 1))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_transposed_tensor_is_saved_as_it_reads(tmp_path):
    save_tensors(tmp_path / "t", {"t": TENSORS["b"].T})
    assert torch.equal(load_tensors(tmp_path / "t")[0]["t"], TENSORS["b"].T)


def saved() -> bytes:
    from safetensors.torch import save

    return save({"a": torch.arange(64, dtype=torch.float32)}, {"hfi": "{}"})


class Witness:
    """Unpickling this is noticed."""

    opened: list[str] = []

    def __reduce__(self):
        return (Witness.opened.append, ("unpickled",))


def torch_pickle() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        saved()[:-1],
        saved()[:40],
        saved()[:8],
        b"\xff" * 8 + saved()[8:],
        saved() + b"more",
        pickle.dumps({"a": np.zeros(3)}),
        pickle.dumps(Witness()),
        torch_pickle(),
        b"not tensors\n" * 100,
    ],
    ids=[
        "empty", "zeros", "one byte short", "torn header", "length alone", "huge header", "longer", "pickle",
        "pickle that acts", "torch pickle", "text",
    ],
)  # fmt: skip
def test_a_file_that_holds_no_tensors_is_a_user_error(tmp_path, content):
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_tensors(path)
    assert Witness.opened == []


def test_a_missing_file_and_a_folder_are_user_errors(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UserError, match="not a readable safetensors file"):
            load_tensors(path)


def test_metadata_that_is_not_json_is_a_user_error(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "t", {"hfi": "{"})
    with pytest.raises(UserError):
        load_tensors(tmp_path / "t")


def test_a_full_disk_leaves_the_earlier_tensors_and_says_so(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        save_tensors(disk / "t", {"a": torch.ones(3)})
        with pytest.raises(UserError, match="disk is full"):
            save_tensors(disk / "t", {"a": torch.ones(100_000)})
        assert torch.equal(load_tensors(disk / "t")[0]["a"], torch.ones(3))
        assert [path.name for path in disk.iterdir()] == ["t"]
