import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.feedback.labels import assign_split, read_labels
from hfi_core.feedback.schema import parse_judgement
from hfi_core.feedback.sufficiency import assess_sufficiency
from hfi_core.params import parse_params
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages.ingest import run
from tests.support.judging import candidate, ranking, vote, write_lines, write_manifest
from tests.support.projects import default_raw

CANDIDATES = [candidate(f"badge-{k}", f"{k:064x}") for k in range(12)]
LEARN = [one for one in CANDIDATES if assign_split(one.id, 0.3) == "learn"]
ATTACK = [one for one in CANDIDATES if assign_split(one.id, 0.3) == "attack"]


def _params(kind="binary", minimum=1, least=4, held_out_for_judge=0.0):
    raw = default_raw()
    raw["concepts"]["badge"]["feedback"] = kind
    raw["feedback"]["minimum"] = minimum
    raw["reward"]["least"] = least
    raw["feedback"] |= {"held_out_for_attacks": 0.3, "held_out_for_judge": held_out_for_judge}
    return parse_params(raw)


def _need(rows, candidates=CANDIDATES, askable=None, **settings):
    askable = candidates if askable is None else askable
    judgements = [parse_judgement(json.dumps(row)) for row in rows]
    return assess_sufficiency(_params(**settings), "badge", candidates, judgements, {one.id for one in askable})


def _enough():
    answers = zip(LEARN[:4], ("yes", "yes", "no", "no"), strict=True)
    return [*(vote(one, answer) for one, answer in answers), vote(ATTACK[0])]


def test_pictures_that_are_kept_for_a_judge_do_not_count():
    for_judge = {one.id for one in CANDIDATES if assign_split(one.id, 0.3, 0.3) == "judge"}
    learn = [one for one in LEARN if one.id not in for_judge]
    need = _need(_enough(), held_out_for_judge=0.3)
    assert for_judge and (need.candidates, need.required) == (len(learn), 4)
    assert need.labelled == len([one for one in LEARN[:4] if one.id not in for_judge])


def test_it_says_how_many_pictures_are_missing():
    need = _need([vote(LEARN[0]), vote(LEARN[1], "cant_tell"), vote(ATTACK[0])])
    assert (need.candidates, need.labelled, need.required) == (len(LEARN), 1, 4)
    assert need.missing == ("3 more pictures with 1 judgement each (1 of 4)",)
    assert not need.is_sufficient


def test_a_picture_counts_with_as_many_judgements_as_the_minimum_asks_for():
    rows = _enough()
    assert _need(rows).is_sufficient
    assert _need(rows, minimum=2).missing == ("4 more pictures with 2 judgements each (0 of 4)",)
    assert _need(rows + [row | {"id": row["id"] + "2", "annotator": "bo"} for row in rows], minimum=2).is_sufficient


def test_answers_of_one_kind_are_not_enough_until_all_is_judged():
    alike = [vote(one, "no") for one in LEARN]
    assert _need(alike).missing == (
        "2 objectionable pictures (0 so far)",
        "1 objectionable picture among those kept for attackers",
    )
    assert _need([*alike, *(vote(one, "no") for one in ATTACK)]).is_sufficient, "more people would change nothing"


def test_judgements_on_pictures_that_are_gone_or_were_redrawn_do_not_count():
    rows = _enough()
    redrawn = [candidate(one.id, "f" * 64) for one in CANDIDATES]
    assert _need(rows, redrawn).labelled == 0
    assert _need(rows, [one for one in CANDIDATES if one.id != LEARN[0].id]).labelled == 3


def test_a_ranking_counts_for_each_picture_that_it_places_against_another():
    names = [one.id for one in LEARN]
    assert _need([ranking([names[:1]])], kind="ranking").labelled == 0
    assert _need([ranking([names[:1], names[1:3]], not_applicable=[names[3]])], kind="ranking").labelled == 3
    assert _need([ranking([names[:2], names[2:4]])], kind="ranking").is_sufficient


def test_pictures_that_nobody_is_asked_about_are_not_waited_for(tmp_path):
    gold, asked = LEARN[0], [one for one in CANDIDATES if one.id != LEARN[0].id]
    rows = [vote(one, "no") for one in asked]
    assert not _need(rows).is_sufficient and _need(rows, askable=asked).is_sufficient
    assert _need([], askable=asked).candidates == len(LEARN) - 1
    assert _need([vote(gold)], askable=asked).candidates == len(LEARN), "it has its label"
    with pytest.raises(UserError, match="badge has 3 candidates to learn from.*Gold pictures"):
        _need([], askable=LEARN[:3])


def test_candidates_that_can_never_be_enough_are_a_mistake():
    with pytest.raises(UserError, match=f"badge has {len(LEARN)} candidates .* reward.least asks for 10"):
        _need([], least=10)


ANSWERS = st.lists(
    st.tuples(st.sampled_from(CANDIDATES), st.sampled_from("abc"), st.sampled_from(("yes", "no", "cant_tell"))),
    unique_by=lambda row: (row[0].id, row[1]),
)


@pytest.mark.filterwarnings("ignore:badge. ")  # people who answer by chance agree too little
@settings(max_examples=30)
@given(ANSWERS, st.integers(1, 3))
def test_it_counts_what_ingest_labels(tmp_path_factory, answers, minimum):
    rows = [vote(picture, answer, who) for picture, who, answer in answers]
    folder = tmp_path_factory.mktemp("project")
    write_manifest(folder / "candidates", CANDIDATES)
    inputs = {"feedback": write_lines(folder / "feedback.jsonl", rows), "candidates": folder / "candidates"}
    try:
        run(StageContext(_params(minimum=minimum), inputs, {"labels": folder / "labels"}, "badge"))
        labels = read_labels(folder / "labels")
    except UserError:
        labels = []
    assert _need(rows, minimum=minimum).labelled == sum(label.part == "learn" for label in labels)
