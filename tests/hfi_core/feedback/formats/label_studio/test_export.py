"""Exports of Label Studio, with each control that judges, as that tool writes them."""

import json

import pytest

from tests.support.format_imports import BADGES, STYLES, bring, complaints, stored

IMAGE = "/data/upload/7/0a1b2c3d-badge-1.png"
ITEMS = [{"id": f"klara-{number}", "title": "", "html": "<img>"} for number in range(1, 5)]


def result(kind: str, value: dict, name: str = "said", to: str = "image") -> dict:
    return {"id": "Dx_aB91ISN", "from_name": name, "to_name": to, "type": kind, "origin": "manual", "value": value}


def task(data: dict, *results: dict, **annotation) -> dict:
    by = {"id": 1, "email": "ana@example.org", "first_name": "", "last_name": ""}
    done = {
        "id": 1001, "completed_by": by, "result": list(results), "was_cancelled": False, "ground_truth": False,
        "created_at": "2026-11-24T09:12:03.728353Z", "updated_at": "2026-11-24T09:12:03.728378Z", "lead_time": 4.288,
        "prediction": {}, "result_count": 0, "unique_id": "f3b8", "task": 12, "project": 3,
    }  # fmt: skip
    return {
        "id": 12, "annotations": [done | annotation], "file_upload": "0a1b2c3d-badge-1.png", "drafts": [],
        "predictions": [{"result": [result("choices", {"choices": ["yes"]})]}], "data": data, "meta": {},
        "created_at": "2026-11-24T09:00:00.000000Z", "updated_at": "2026-11-24T09:12:03.7Z", "inner_id": 1,
    }  # fmt: skip


@pytest.fixture
def export(tmp_path):
    """Writes an export."""

    def write(rows: list, indent: int | None = None):
        path = tmp_path / "project-3-at-2026-11-24.json"
        path.write_text(json.dumps(rows, indent=indent))
        return path

    return write


@pytest.mark.parametrize("indent", [None, 2])
def test_choices_are_read_with_who_and_when(export, tmp_path, indent):
    path = export([task({"image": IMAGE}, result("choices", {"choices": ["Yes"]}))], indent)
    assert bring(path, tmp_path, concept="badge").new == 1
    (row,) = stored(tmp_path)
    assert (row.picture, row.sha256, row.answer) == ("badge-1", BADGES[0].sha256, "yes")
    assert row.annotator.startswith("a-") and row.answered_at.year == 2026


@pytest.mark.parametrize(
    "image",
    [
        "badge-1", "badge-1.png", "https://pictures.example/a/badge-1.png?token=x", "s3://bucket/badge-1.png",
        "/data/local-files/?d=candidates/badge/pictures/badge-1.png", r"C:\pictures\badge-1.png", BADGES[0].sha256,
        IMAGE,
    ],
)  # fmt: skip
def test_a_picture_is_found_by_whatever_address_it_had(export, tmp_path, image):
    bring(export([task({"image": image}, result("choices", {"choices": ["no"]}))]), tmp_path, concept="badge")
    assert stored(tmp_path)[0].picture == "badge-1"


def test_a_rating_is_read_as_the_options_say(export, tmp_path):
    path = export([task({"image": IMAGE}, result("rating", {"rating": 4}))])
    assert "--rating-yes" in complaints(path, tmp_path, concept="badge")[0][1]
    bring(path, tmp_path, concept="badge", rating_yes=4)
    assert stored(tmp_path)[0].answer == "yes"


def test_a_pair_is_a_ranking_of_two(export, tmp_path):
    data = {"left": "klara-1.png", "right": "klara-2.png", "concept": "klara"}
    bring(export([task(data, result("pairwise", {"selected": "right"}))]), tmp_path)
    assert stored(tmp_path)[0].groups == (("klara-2",), ("klara-1",))


def test_the_keys_of_a_pair_can_be_named(export, tmp_path):
    path = export([task({"a": "klara-1", "b": "klara-2"}, result("pairwise", {"selected": "left"}))])
    assert "--column left=KEY" in complaints(path, tmp_path, concept="klara")[0][1]
    bring(path, tmp_path, concept="klara", columns={"left": "a", "right": "b"})
    assert stored(tmp_path)[0].groups == (("klara-1",), ("klara-2",))


@pytest.mark.parametrize(
    ("ranker", "options", "groups", "left_out"),
    [
        ({"rank": ["klara-2", "klara-1"]}, {}, (("klara-2",), ("klara-1",)), ()),
        (
            {"rank_2": ["klara-3"], "rank_1": ["klara-2", "klara-1"], "does_not_apply": ["klara-4"], "_": []},
            {}, (("klara-2", "klara-1"), ("klara-3",)), ("klara-4",),
        ),
        (
            {"weak": ["klara-1"], "strong": ["klara-2"], "off": ["klara-3"]},
            {"buckets": ("strong", "weak")}, (("klara-2",), ("klara-1",)), ("klara-3",),
        ),
    ],
)  # fmt: skip
def test_a_ranker_is_read_with_and_without_buckets(export, tmp_path, ranker, options, groups, left_out):
    path = export([task({"items": ITEMS}, result("ranker", {"ranker": ranker}))])
    bring(path, tmp_path, concept="klara", **options)
    (row,) = stored(tmp_path)
    assert row.groups == groups and row.not_applicable == left_out


def test_which_bucket_is_stronger_is_not_guessed(export, tmp_path):
    path = export([task({"items": ITEMS}, result("ranker", {"ranker": {"a": ["klara-1"], "b": ["klara-2"]}}))])
    assert "--buckets" in complaints(path, tmp_path, concept="klara")[0][1]


def test_items_with_ids_of_their_own_are_found_by_their_pictures(export, tmp_path):
    items = [{"id": str(number), "image": f"{style.id}.png"} for number, style in enumerate(STYLES)]
    bring(export([task({"items": items}, result("ranker", {"ranker": {"r": ["1", "0"]}}))]), tmp_path, concept="klara")
    assert stored(tmp_path)[0].groups == (("klara-2",), ("klara-1",))


def test_skipped_and_unanswered_tasks_and_predictions_say_nothing(export, tmp_path):
    data = {"image": IMAGE}
    answered = result("choices", {"choices": ["no"]})
    rows = [
        task(data, answered, was_cancelled=True), task(data), task(data) | {"annotations": []}, task(data, answered),
    ]  # fmt: skip
    counts = bring(export(rows), tmp_path, concept="badge")
    assert (counts.new, counts.skipped) == (1, 3)


def test_several_controls_need_one_to_be_named(export, tmp_path):
    row = task({"image": IMAGE}, result("choices", {"choices": ["no"]}, "said"), result("rating", {"rating": 5}, "how"))
    path = export([row])
    assert "--control" in complaints(path, tmp_path, concept="badge")[0][1]
    assert bring(path, tmp_path, concept="badge", control="said").new == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (task({"image": "badge-9"}, result("choices", {"choices": ["yes"]})), "no picture 'badge-9'"),
        (task({"image": IMAGE}, result("choices", {"choices": ["yes", "no"]})), "not a single choice"),
        (task({"text": "?"}, result("choices", {"choices": ["yes"]})), "--column picture=KEY"),
        (task({"image": IMAGE}, result("choices", {"choices": ["yes"]}), completed_by=None), "names no annotator"),
        ({"id": 12, "image": IMAGE, "annotations": []}, "JSON_MIN"),
        ({"id": 12, "data": {}, "annotations": [7]}, "no list `result`"),
        (7, "not a JSON object"),
    ],
)
def test_a_rejected_task_is_named(export, tmp_path, row, reason):
    path = export([task({"image": IMAGE}, result("choices", {"choices": ["yes"]})), row])
    ((where, message),) = complaints(path, tmp_path, concept="badge", format="label-studio")
    assert where.startswith(("task 12", "item 2")) and reason in message


def test_json_min_is_read(export, tmp_path):
    rows = [
        {
            "image": IMAGE, "id": 1, "annotator": 4, "annotation_id": 9, "answer": "yes",
            "created_at": "2026-11-24T09:12:03.728353Z", "updated_at": "2026-11-24T09:12:03Z", "lead_time": 3.1,
        },
        {
            "items": ITEMS, "concept": "klara", "id": 2, "annotator": 4, "annotation_id": 10,
            "rank": [{"ranker": {"rank_1": ["klara-1"], "rank_2": ["klara-3"]}}],
            "created_at": "2026-11-24T09:12:03.728353Z", "updated_at": "2026-11-24T09:12:03Z", "lead_time": 3.1,
        },
    ]  # fmt: skip
    assert bring(export(rows), tmp_path, concept="badge").new == 2


def test_json_min_with_a_control_of_another_name(export, tmp_path):
    path = export([{"image": IMAGE, "id": 1, "annotator": 4, "annotation_id": 9, "verdict": "no", "lead_time": 1}])
    assert "--control" in complaints(path, tmp_path, concept="badge")[0][1]
    assert bring(path, tmp_path, concept="badge", control="verdict").new == 1


def test_both_exports_of_one_project_are_the_same_judgements(export, tmp_path):
    when = "2026-11-24T09:12:03.728353Z"
    bring(
        export([task({"image": IMAGE}, result("choices", {"choices": ["yes"]}), completed_by=4)]),
        tmp_path,
        concept="badge",
    )
    row = {"image": IMAGE, "id": 1, "annotator": 4, "annotation_id": 9, "answer": "yes", "created_at": when}
    counts = bring(export([row]), tmp_path, concept="badge")
    assert (counts.new, counts.known) == (0, 1)


def test_a_torn_export_is_named_where_it_ends(tmp_path):
    path = tmp_path / "torn.json"
    whole = json.dumps([task({"image": IMAGE}, result("choices", {"choices": ["yes"]})), task({"image": IMAGE})])
    path.write_text(whole[: len(whole) - 40])
    ((where, reason),) = complaints(path, tmp_path, concept="badge")
    assert where == "after item 1" and "not valid JSON" in reason


ADA = {"id": 3, "email": "ada@example.org"}
DAY = "2026-11-24T09:12:03.728353Z"
LATER = "2026-11-25T10:00:00.000000Z"


def answer(value: str, image: str = "badge-1", **annotation) -> dict:
    return task({"image": image}, result("choices", {"choices": [value]}), **annotation)


def test_an_answer_that_was_changed_in_place_supersedes_the_one_of_an_earlier_export(export, tmp_path):
    bring(export([answer("yes"), answer("no", "badge-2")]), tmp_path, concept="badge")
    again = export([answer("no", updated_at=LATER), answer("no", "badge-2")])
    counts = bring(again, tmp_path, concept="badge")
    assert (counts.new, counts.known) == (1, 1)
    first, last = sorted((row for row in stored(tmp_path) if row.picture == "badge-1"), key=lambda row: row.answered_at)
    assert (first.answer, last.answer, last.supersedes) == ("yes", "no", first.id) and last.answered_at.day == 25
    assert bring(again, tmp_path, concept="badge").new == 0


def test_json_min_knows_an_answer_that_was_changed_in_place(export, tmp_path):
    row = {"image": IMAGE, "id": 1, "annotator": 4, "annotation_id": 9, "answer": "yes", "created_at": DAY}
    bring(export([row]), tmp_path, concept="badge")
    assert bring(export([row | {"answer": "no", "updated_at": LATER}]), tmp_path, concept="badge").new == 1
    assert {row.answer: row.supersedes is not None for row in stored(tmp_path)} == {"yes": False, "no": True}


def test_a_mapped_time_is_read_instead_of_the_usual_one(export, tmp_path):
    path = export([answer("no", updated_at=LATER)])
    bring(path, tmp_path, concept="badge", columns={"answered_at": "created_at"})
    assert stored(tmp_path)[0].answered_at.day == 24


def test_an_export_of_version_0_is_read(export, tmp_path):
    judged = {"result": [result("choices", {"choices": ["yes"]})], "created_at": 1598961412, "lead_time": 4.1}
    skipped = judged | {"skipped": True}
    rows = [
        {"id": 3, "data": {"image": "/data/upload/badge-1.png"}, "completions": [judged], "predictions": []},
        {"id": 4, "data": {"image": "badge-2"}, "completions": [skipped, judged | {"was_cancelled": True}]},
    ]
    counts = bring(export(rows), tmp_path, concept="badge", annotator="ana")
    assert (counts.new, counts.skipped) == (1, 2)
    assert stored(tmp_path)[0].answered_at.isoformat() == "2020-09-01T11:56:52+00:00"


REJECTED = [{"id": 28, "created_at": LATER, "accepted": False}]


@pytest.mark.parametrize(
    ("annotation", "counted"),
    [
        ({"last_action": "rejected"}, False),
        ({"reviews": REJECTED}, False),
        ({"reviews": [{"created_at": DAY, "accepted": True}, *REJECTED]}, False),
        ({"reviews": [*REJECTED, {"created_at": "2026-11-26T10:00:00Z", "accepted": True}]}, True),
        ({"reviews": REJECTED, "last_action": "updated"}, True),
        ({"reviews": REJECTED, "last_action": "fixed_and_accepted"}, True),
        ({"reviews": [7, None]}, True),
    ],
)
def test_what_a_reviewer_rejected_is_not_counted(export, tmp_path, annotation, counted):
    path = export([answer("no", "badge-2"), answer("yes", **annotation)])
    counts = bring(path, tmp_path, concept="badge")
    assert (counts.new, counts.review_rejected) == ((2, 0) if counted else (1, 1))


def test_ground_truth_is_counted_only_where_it_is_asked_for(export, tmp_path):
    path = export([answer("no", "badge-2"), answer("yes", ground_truth=True)])
    counts = bring(path, tmp_path, concept="badge")
    assert (counts.new, counts.ground_truth) == (1, 1)
    assert bring(path, tmp_path, concept="badge", ground_truth=True).new == 1


@pytest.mark.parametrize("forms", [(3, ADA), (ADA, 3), (ADA, {"id": 3}), (ADA, {"email": "ada@example.org"})])
@pytest.mark.parametrize("files", [1, 2])
def test_a_person_as_a_number_and_as_an_object_is_one(export, tmp_path, forms, files):
    rows = [answer("no", f"badge-{number}", completed_by=by) for number, by in enumerate(forms, start=1)]
    for batch in [rows] if files == 1 else [[row] for row in rows]:
        bring(export(batch), tmp_path, concept="badge")
    assert len(stored(tmp_path)) == 2 and len({row.annotator for row in stored(tmp_path)}) == 1


def test_two_people_with_one_number_of_two_installations_stay_two(export, tmp_path):
    for number, name in enumerate(("ada", "bo"), start=1):
        by = {"id": 3, "email": f"{name}@example.org"}
        bring(export([answer("no", f"badge-{number}", completed_by=by)]), tmp_path, concept="badge")
    assert len({row.annotator for row in stored(tmp_path)}) == 2


@pytest.mark.parametrize("controls", [{"choice": "no"}, {"quality": [{"rating": 4}]}])
def test_a_task_s_own_answer_is_not_taken_for_the_person_s(export, tmp_path, controls):
    row = {"image": IMAGE, "id": 1, "annotator": 4, "annotation_id": 9, "answer": "yes", "created_at": DAY} | controls
    path = export([row])
    assert "--control" in complaints(path, tmp_path, concept="badge")[0][1]
    bring(path, tmp_path, concept="badge", control=next(iter(controls)), rating_yes=5)
    assert stored(tmp_path)[0].answer == "no"


def test_a_mapped_key_goes_before_what_our_own_export_says(export, tmp_path):
    judged = result("choices", {"choices": ["yes"]}) | {"meta": {"hfi": {"annotator": "cara"}}}
    path = export([task({"image": "badge-1", "who": "ana"}, judged)])
    bring(path, tmp_path, concept="badge", columns={"annotator": "who"})
    bring(export([answer("no", "badge-2", completed_by="ana")]), tmp_path, concept="badge")
    assert len({row.annotator for row in stored(tmp_path)}) == 1
