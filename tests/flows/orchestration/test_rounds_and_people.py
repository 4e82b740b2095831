"""In a round people are asked about its pictures only, and a run says what it still needs of them."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.orchestration.feedback_gate import offer_and_measure
from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.labels import assign_split
from hfi_core.feedback.store import open_store
from hfi_core.params import parse_params
from hfi_core.pipeline.graph import units_of
from tests.support.judging import draw_candidates, write_manifest
from tests.support.projects import default_raw
from tests.support.stored_judgements import binary
from tests.support.stores import store_in

SET = "data/candidates/badge-round-1"


@pytest.fixture
def raw():
    raw = default_raw()
    raw["feedback"] |= {"file": "people.jsonl", "simulated": {}, "store": True, "minimum": 1}
    return raw


def adopt(raw):
    """Join the candidates, offer them, and measure what people have judged."""
    params = parse_params(raw)
    for unit in units_of(params):
        if unit.stage.name == "adopt":
            unit.stage.load()(unit.context(params))
    (feedback,) = offer_and_measure(params, list(units_of(params)))
    return feedback


def questions(annotator: str) -> set[str]:
    with open_store("sqlite:///feedback.db") as store:
        given = store.assign(
            "badge", annotator, count=99, judgements=1, lease=timedelta(minutes=1), now=datetime.now(UTC)
        )
        return {one.picture for one in given}


def test_the_round_is_asked_and_nobody_is_asked_again(raw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = draw_candidates(tmp_path / "candidates/badge", 12)
    learn = sum(assign_split(row.id, raw["feedback"]["held_out_for_attacks"]) == "learn" for row in drawn)
    raw["reward"]["least"] = learn
    with store_in(tmp_path) as store:
        for number, row in enumerate(drawn):
            store.add(binary(f"ana.{row.id}", picture=row.id, sha256=row.sha256, answer="no" if number % 2 else "yes"))
    assert adopt(raw).is_sufficient and questions("ana") == set()

    (tmp_path / "drawn").mkdir()
    (tmp_path / "candidates/badge").rename(tmp_path / "drawn/badge")
    new = draw_candidates(tmp_path / SET, 20, "badge-round-1")[12:]  # the first twelve are the drawn ones' pictures
    write_manifest(tmp_path / SET, new)
    raw["candidates"]["imported"] = {"badge": [SET]}
    raw["reward"]["least"] = learn + 1
    feedback = adopt(raw)
    assert len(read_manifest(tmp_path / "candidates/badge")) == 20
    assert feedback.missing == (f"1 more pictures with 1 judgement each ({learn} of {learn + 1})",)
    assert questions("ana") == {row.id for row in new}
