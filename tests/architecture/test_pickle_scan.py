"""The scan for pickles finds each kind there is, and takes none of our own files for one."""

import gzip
import io
import pickle
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import save

from tests.support.pickles import holds_pickle
from tests.support.projects import REPOSITORY

THING = {"weights": [1, 2, 3], "name": "model"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_each_protocol_is_found_bare_and_wrapped(protocol):
    content = pickle.dumps(THING, protocol)
    assert holds_pickle(content)
    assert holds_pickle(gzip.compress(content)) and holds_pickle(zlib.compress(content))
    archive, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inside/data.json", content)
    with tarfile.open(fileobj=tar, mode="w") as file:
        member = tarfile.TarInfo("data.json")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    assert holds_pickle(archive.getvalue()) and holds_pickle(tar.getvalue())


def test_torch_s_and_numpy_s_own_files_are_found():
    for old in (False, True):
        stream = io.BytesIO()
        torch.save({"weight": torch.zeros(3)}, stream, _use_new_zipfile_serialization=not old)
        assert holds_pickle(stream.getvalue())
    stream = io.BytesIO()
    np.save(stream, np.array([THING], dtype=object), allow_pickle=True)
    assert holds_pickle(stream.getvalue())


def test_none_of_our_formats_is_taken_for_one():
    stream = io.BytesIO()
    np.save(stream, np.arange(3))
    assert not holds_pickle(stream.getvalue())
    assert not holds_pickle(save({"weight": torch.randn(100)}))
    assert not holds_pickle(b"torch==2.13.0\n"), "these are operations of a pickle, up to the one that ends it"
    kinds = {".png", ".json", ".md", ".yaml", ".html", ".csv"}
    paths = [path for path in REPOSITORY.glob("[!.]*/**/*") if path.suffix in kinds and path.is_file()]
    assert {path.suffix for path in paths} == kinds
    assert [path for path in paths if holds_pickle(path.read_bytes())] == []
