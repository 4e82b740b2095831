"""An imported folder becomes candidates: checked, and copied whole or not at all."""

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.candidates.rounds import read_rounds, write_rounds
from hfi_core.errors import UserError
from hfi_core.params import parse_params
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import adopt
from tests.support.judging import draw_candidates
from tests.support.loop import bytes_below
from tests.support.projects import default_raw
from tests.support.rounds import RECORD

ROUND = "data/candidates/badge-round-1"


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


@pytest.fixture
def joined(tmp_path):
    """Two drawn pictures and a round's three, and a call that joins them."""
    raw = default_raw()
    raw["candidates"]["imported"] = {"badge": [ROUND]}
    inputs = {"drawn": tmp_path / "drawn", ROUND: tmp_path / "badge-round-1"}
    draw_candidates(inputs["drawn"] / "badge", 2)
    draw_candidates(inputs[ROUND], 3, "badge-round-1")
    write_rounds(inputs[ROUND], [RECORD])
    context = StageContext(parse_params(raw), inputs, {"candidates": tmp_path / "candidates"}, "badge")
    return inputs, tmp_path / "candidates", lambda: adopt.run(context)


def test_what_was_drawn_and_a_round_are_joined_as_they_are_with_the_record_of_the_round(joined):
    inputs, target, run = joined
    assert run() == {"candidates": 5}
    sources = (inputs["drawn"] / "badge", inputs[ROUND])
    expected = [row for source in sources for row in read_manifest(source)]
    assert read_manifest(target) == sorted(expected, key=lambda row: row.id)
    assert read_rounds(target) == [RECORD]
    copied = bytes_below(target / "pictures", named_from=target)
    assert copied == {
        name: digest
        for source in sources
        for name, digest in bytes_below(source / "pictures", named_from=source).items()
    }


def test_a_picture_in_two_sources_leaves_what_was_there(joined):
    inputs, target, run = joined
    run()
    before = bytes_below(target)
    draw_candidates(inputs[ROUND], 3, "badge")  # the ids and the pictures of what was drawn
    with pytest.raises(UserError, match=r"have the same (picture|id), and a candidate has one provenance"):
        run()
    assert bytes_below(target) == before
