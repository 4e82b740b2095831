"""Candidates are drawn once, named by what was asked for, and resumed without being drawn again."""

import pytest

from hfi_core.candidates.manifest import read_manifest, read_pictures
from hfi_core.compute.shards import Shard
from hfi_core.stages import generate
from tests.support.loop import bytes_below, units


@pytest.fixture
def unit(project):
    return units(project)[0]


def run(project, unit, **options):
    return generate.run(unit.context(project.params, **options))


def test_every_picture_has_a_row_that_names_how_it_was_made(project, unit):
    params = project.params
    assert run(project, unit) == {"candidates": 24}
    rows = read_manifest(unit.outputs["candidates"])
    assert len(rows) == len({row.seed for row in rows}) == 24
    assert {row.model for row in rows} == {params.model.digest}
    assert {row.prompt for row in rows} == set(params.concepts["badge"].prompts)
    assert read_pictures(unit.outputs["candidates"], rows).shape == (24, 64, 64, 3)


def test_a_second_run_draws_the_same_bytes(project, unit):
    run(project, unit)
    first = bytes_below(unit.outputs["candidates"])
    run(project, unit)
    assert bytes_below(unit.outputs["candidates"]) == first


def test_a_resumed_run_draws_only_what_is_missing(project, unit, tmp_path, monkeypatch):
    run(project, unit, work=tmp_path / "work")
    first = bytes_below(unit.outputs["candidates"])
    pictures = sorted((tmp_path / "work" / "pictures").glob("*.png"))
    pictures[3].unlink()
    drawn = []
    draw = generate.draw_pictures
    monkeypatch.setattr(
        generate, "draw_pictures", lambda model, asked, *a, **k: drawn.extend(asked) or draw(model, asked, *a, **k)
    )
    run(project, unit, work=tmp_path / "work")
    assert len(drawn) == project.params.compute.block
    assert bytes_below(unit.outputs["candidates"]) == first


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shards_in_any_number_and_order_leave_the_same_bytes(project, unit, tmp_path, monkeypatch, count):
    project.edit(candidates__drawn={"badge": 7})  # the last block is not full
    run(project, unit)
    whole, work = bytes_below(unit.outputs["candidates"]), tmp_path / "work"
    for index in reversed(range(count)):
        generate.draw(unit.context(project.params, work=work, shard=Shard(index, count)))
    monkeypatch.setattr(generate, "load_base_model", lambda *_: pytest.fail("the shards left something to draw"))
    run(project, unit, work=work)
    assert bytes_below(unit.outputs["candidates"]) == whole


def test_a_shard_draws_its_own_blocks_only(project, unit, tmp_path):
    generate.draw(unit.context(project.params, work=tmp_path, shard=Shard(1, 3)))
    assert len(list((tmp_path / "pictures").iterdir())) == project.params.compute.block


def test_more_pictures_leave_those_that_are_there_unchanged(project, unit):
    run(project, unit)
    before = {row.id: row.sha256 for row in read_manifest(unit.outputs["candidates"])}
    project.edit(candidates__drawn={"badge": 10})
    run(project, unit)
    after = {row.id: row.sha256 for row in read_manifest(unit.outputs["candidates"])}
    assert len(after) == 30
    assert before.items() <= after.items()
