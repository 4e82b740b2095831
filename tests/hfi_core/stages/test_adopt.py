"""An imported folder becomes candidates: checked, and copied whole or not at all."""

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.errors import UserError
from hfi_core.params import parse_params
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import adopt
from tests.support.judging import draw_candidates
from tests.support.loop import bytes_below
from tests.support.projects import default_raw


@pytest.fixture
def adopted(tmp_path):
    """Three imported pictures, and a call that adopts them."""
    raw = default_raw()
    raw["candidates"] = {"drawn": {}, "imported": {"badge": "data/candidates/queue"}}
    source, target = tmp_path / "queue", tmp_path / "candidates"
    draw_candidates(source, 3)
    context = StageContext(parse_params(raw), {"imported": source}, {"candidates": target})
    return source, target, lambda: adopt.run(context)


def files(folder):
    """Every file below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_manifest_and_pictures_are_copied_and_nothing_else(adopted):
    source, target, run = adopted
    expected = [path.read_bytes() for path in files(source)]
    (source / "notes.txt").write_text("not a picture")
    assert run() == {"candidates": 3}
    assert [path.read_bytes() for path in files(target)] == expected


def test_a_picture_that_is_another_one_leaves_what_was_there(adopted):
    source, target, run = adopted
    run()
    before = bytes_below(target)
    (source / read_manifest(source)[1].file).write_bytes(b"torn")
    with pytest.raises(UserError, match="is not the picture that the manifest names"):
        run()
    assert bytes_below(target) == before
