import pytest

from hfi_core.feedback.ledger import open_ledger
from hfi_core.feedback.reader import read_judgements
from hfi_core.models import weights
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import parse_params
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import simulate
from tests.support.judging import draw_candidates
from tests.support.projects import default_raw


@pytest.fixture
def judged(tmp_path, miniature, monkeypatch):
    """Two concepts' candidates, and params with the simulated crowd; the miniature's judge stands for the embedded."""
    monkeypatch.setitem(weights._EMBEDDED_FOLDERS, "annotators", str(miniature / "judges" / "annotators"))
    raw = default_raw()
    raw["feedback"]["simulated"]["crowd"]["digest"] = digest_of_weights(miniature / "judges" / "annotators")
    raw["concepts"]["medal"] = raw["concepts"]["badge"] | {"feedback": "ranking"}
    raw["candidates"]["drawn"]["medal"] = 8
    candidates = {name: draw_candidates(tmp_path / "candidates" / name, 12, name) for name in ("badge", "medal")}
    return parse_params(raw), tmp_path, candidates


def _simulate(params, folder, name):
    inputs, outputs = {"candidates": folder / "candidates"}, {"feedback": folder / name}
    figures = simulate.run(StageContext(params, inputs, outputs, "crowd"))
    return figures, folder / name


def test_the_crowd_judges_every_concept_and_the_same_again(judged):
    params, folder, _ = judged
    figures, path = _simulate(params, folder, "f.jsonl")
    assert figures == {"judgements": 3 * 12 + 3 * 2 * 3, "annotators": 3}
    answers = [judgement for _, judgement in read_judgements(path)]
    assert [one.id for one in answers] == sorted(one.id for one in answers)
    assert {(one.concept, one.kind, one.simulated) for one in answers} == {
        ("badge", "binary", True),
        ("medal", "ranking", True),
    }
    _, again = _simulate(params, folder, "again.jsonl")
    assert again.read_bytes() == path.read_bytes()


def test_another_seed_gives_other_judgements(judged):
    params, folder, _ = judged
    _, path = _simulate(params, folder, "f.jsonl")
    _, other = _simulate(params.model_copy(update={"seed": 1}), folder, "other.jsonl")
    assert other.read_bytes() != path.read_bytes()


def test_what_the_crowd_writes_is_a_valid_feedback_file(judged):
    params, folder, candidates = judged
    _, path = _simulate(params, folder, "f.jsonl")
    for name, kind in (("badge", "binary"), ("medal", "ranking")):
        with open_ledger(path, name, kind, {one.id: one for one in candidates[name]}) as ledger:
            totals = ledger.totals()
        assert (totals.annotators, totals.superseded, totals.simulated) == (3, 0, True)
