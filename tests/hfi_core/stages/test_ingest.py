import json
import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.feedback.labels import assign_split, read_labels, read_pairs, read_summary
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder
from hfi_core.params import parse_params
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages.ingest import run
from tests.support.judging import candidate, ranking, vote, write_lines, write_manifest
from tests.support.projects import default_raw

CANDIDATES = [candidate(f"badge-{k}", f"{k:064x}") for k in range(12)]


def _params(kind="binary", **feedback):
    raw = default_raw()
    raw["concepts"]["badge"]["feedback"] = kind
    raw["feedback"] |= {"minimum": 1, "agreement": {"warn_below": -1.0, "refuse_below": None}} | feedback
    return parse_params(raw)


def _ingest(folder, rows, kind="binary", **feedback):
    write_manifest(folder / "candidates", CANDIDATES)
    inputs = {"feedback": write_lines(folder / "f.jsonl", rows), "candidates": folder / "candidates"}
    return run(StageContext(_params(kind, **feedback), inputs, {"labels": folder / "labels"}, "badge"))


def _votes():
    answers = random.Random(1)
    return [
        vote(picture, answers.choice(["yes", "yes", "no", "cant_tell"]), who)
        for picture in CANDIDATES
        for who in ("ana", "bo", "cy")
    ]


def _rankings():
    shuffled, rows = random.Random(2), []
    for who in ("ana", "bo"):
        names = [picture.id for picture in CANDIDATES]
        for number in range(3):
            shuffled.shuffle(names)
            groups = [[names[0]], names[1:3], [names[3]]]
            rows.append(ranking(groups, who, id=f"{who}-{number}", not_applicable=[names[4]]))
    return rows


def _bytes(folder):
    """All that was written but for the digest of the file, which is that of its bytes."""
    summary = read_summary(folder / "labels")
    summary.pop("feedback_sha256")
    lines = {path.name: path.read_bytes() for path in (folder / "labels").glob("*.jsonl")}
    return lines, json.dumps(summary)


def test_binary_feedback_becomes_shares_of_votes_with_a_summary(tmp_path):
    first, second = CANDIDATES[:2]
    rows = [vote(first, "yes"), vote(first, "no", "bo"), vote(second, "no"), vote(second, "cant_tell", "bo")]
    figures = _ingest(tmp_path, rows)
    labels = read_labels(tmp_path / "labels")
    assert [(one.picture, one.label, one.yes, one.no, one.cant_tell) for one in labels] == [
        ("badge-0", 0.5, 1, 1, 0),
        ("badge-1", 0.0, 0, 1, 1),
    ]
    summary = read_summary(tmp_path / "labels")
    assert summary == {
        "concept": "badge", "kind": "binary", "aggregation": "share of votes", "simulated": False, "candidates": 12,
        "pictures": 2, "parts": {"learn": 2, "attack": 0}, "judgements": 4, "superseded": 0, "stale": 0,
        "annotators": 2, "cant_tell": 1, "agreement": {"krippendorff_alpha": 0.0, "kendalls_w": None},
        "objectionable_share": 0.25,
        "agreement_intervals": {
            "krippendorff_alpha": {"value": 0.0, "low": 0.0, "high": 0.0, "n": 1}, "kendalls_w": None,
        },
        "interval_level": 0.95, "warning": None, "by_annotator": summary["by_annotator"],
        "feedback_sha256": sha256_of_file(tmp_path / "f.jsonl"),
    }  # fmt: skip
    assert figures["objectionable_share"] == 0.25 and "kendalls_w" not in figures
    assert not (tmp_path / "labels" / "pairs.jsonl").exists()


def test_the_summary_holds_every_annotator_s_figures_against_the_others(tmp_path):
    rows = _votes()
    rows += [vote(picture, "no", "contrary") for picture in CANDIDATES]
    _ingest(tmp_path, rows)
    found = read_summary(tmp_path / "labels")["by_annotator"]
    assert list(found) == ["ana", "bo", "contrary", "cy"]
    contrary = found["contrary"]
    assert contrary["judgements"] == 12 and contrary["cant_tell"] == 0
    assert contrary["yes_found"]["value"] == 0 and contrary["yes_found"]["high"] > 0
    assert set(contrary["confusion"]) == {"yes_yes", "yes_no", "no_yes", "no_no"}


def test_dawid_skene_gives_soft_labels_and_says_so(tmp_path):
    rows = [vote(picture, "yes" if k % 2 else "no", who) for k, picture in enumerate(CANDIDATES) for who in "ab"]
    rows += [vote(picture, "yes" if k % 3 else "no", "c") for k, picture in enumerate(CANDIDATES)]
    _ingest(tmp_path, rows, labels="dawid-skene")
    assert read_summary(tmp_path / "labels")["aggregation"] == "posterior of Dawid & Skene"
    labels = read_labels(tmp_path / "labels")
    assert [label.label > 0.5 for label in labels] == [int(label.picture.split("-")[1]) % 2 == 1 for label in labels]
    assert (labels[0].yes, labels[0].no) == (0, 3)


def test_agreement_below_the_bar_is_warned_of_once_and_noted(tmp_path):
    split = [
        vote(p, "yes" if (k + n) % 2 else "no", who) for n, who in enumerate("ab") for k, p in enumerate(CANDIDATES)
    ]
    bars = {"warn_below": 0.5, "refuse_below": None}
    with pytest.warns(UserWarning, match=r"badge: annotators agree too little: Krippendorff's alpha is") as caught:
        _ingest(tmp_path, split, agreement=bars)
    assert len(caught) == 1
    assert read_summary(tmp_path / "labels")["warning"] == str(caught[0].message)


def test_agreement_below_the_lower_bar_is_refused_and_leaves_earlier_labels(tmp_path):
    _ingest(tmp_path, _votes())
    before = sha256_of_folder(tmp_path / "labels")
    with pytest.raises(UserError, match=r"(?s)refuse_below requires 0\.9.*To fix this"):
        _ingest(tmp_path, _votes(), agreement={"warn_below": 0.95, "refuse_below": 0.9})
    assert sha256_of_folder(tmp_path / "labels") == before


def test_rankings_become_positions_and_pairs(tmp_path):
    names = [picture.id for picture in CANDIDATES[:3]]
    figures = _ingest(tmp_path, [ranking([[name] for name in names], who) for who in ("ana", "bo")], "ranking")
    assert {one.picture: one.label for one in read_labels(tmp_path / "labels")} == dict(
        zip(names, (1, 0.5, 0), strict=True)
    )
    assert [(one.above, one.below, one.weight) for one in read_pairs(tmp_path / "labels")] == [
        ("badge-0", "badge-1", 2), ("badge-0", "badge-2", 2), ("badge-1", "badge-2", 2),
    ]  # fmt: skip
    assert figures["kendalls_w"] == 1
    assert read_summary(tmp_path / "labels")["objectionable_share"] is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["binary", "ranking"]))
def test_the_order_of_lines_changes_no_byte_of_the_labels(tmp_path, data, kind):
    rows = _votes() if kind == "binary" else _rankings()
    _ingest(tmp_path / "one", rows, kind)
    _ingest(tmp_path / "other", data.draw(st.permutations(rows)), kind)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "other")


def test_a_picture_is_in_the_part_that_its_id_gives_it(tmp_path):
    _ingest(tmp_path, _votes())
    share = _params().feedback.held_out_for_attacks
    labels = read_labels(tmp_path / "labels")
    assert {one.part for one in labels} == {"learn", "attack"}
    assert all(one.part == assign_split(one.picture, share) for one in labels)


def test_the_summary_counts_the_pictures_that_a_judge_learns_from(tmp_path):
    _ingest(tmp_path, _votes(), held_out_for_judge=0.4)
    parts = [one.part for one in read_labels(tmp_path / "labels")]
    counts = json.loads((tmp_path / "labels/summary.json").read_text())["parts"]
    assert counts == {part: parts.count(part) for part in ("learn", "attack", "judge")} and counts["judge"]


def test_superseded_judgements_leave_no_trace_in_the_labels(tmp_path):
    rows = _votes()
    wrong = [row | {"answer": "no", "id": f"wrong.{row['id']}"} for row in rows]
    corrections = [row | {"supersedes": f"wrong.{row['id']}"} for row in rows]
    _ingest(tmp_path / "one", rows)
    _ingest(tmp_path / "other", wrong + corrections)
    assert _bytes(tmp_path / "one")[0] == _bytes(tmp_path / "other")[0]
    assert read_summary(tmp_path / "other" / "labels")["superseded"] == len(rows)


def test_what_rests_on_simulated_judgements_says_so(tmp_path):
    _ingest(tmp_path, [vote(CANDIDATES[0], simulated=True), vote(CANDIDATES[1])])
    assert read_summary(tmp_path / "labels")["simulated"] is True


def test_too_few_judgements_for_any_label_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no picture of 'badge' has the 2 judgements.*feedback\.minimum"):
        _ingest(tmp_path, [vote(CANDIDATES[0])], minimum=2)


@pytest.mark.parametrize("broken", [vote(CANDIDATES[0], sha256="f" * 64), "no judgement", vote(candidate("stray"))])
def test_a_mistake_leaves_earlier_labels_as_they_were(tmp_path, broken):
    _ingest(tmp_path, _votes())
    before = sha256_of_folder(tmp_path / "labels")
    with pytest.raises(UserError, match=r"f\.jsonl, line 37"):
        _ingest(tmp_path, [*_votes(), broken])
    assert sha256_of_folder(tmp_path / "labels") == before
    assert {path.name for path in tmp_path.iterdir()} == {"candidates", "f.jsonl", "labels"}


@pytest.mark.integration
def test_reading_feedback_needs_no_torch():
    heavy = {"torch", "transformers", "sklearn", "pandas"}
    code = f"import sys, hfi_core.stages.ingest; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
