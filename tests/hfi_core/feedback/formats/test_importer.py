"""All of a file counts or none of it, once, and people stay behind their pseudonyms."""

import stat
import tracemalloc

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.formats.annotators import open_pseudonym_map
from hfi_core.feedback.formats.convert import ImportContext
from hfi_core.feedback.formats.importer import import_file, prepare_import
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.row import ReadOptions
from hfi_core.feedback.store.pseudonyms import KEY_VARIABLE, Pseudonyms
from tests.support.format_imports import BADGES, bring, complaints, project, store_in, stored
from tests.support.judging import candidate, vote, write_lines

HEADER = "picture,annotator,concept,answer,answered_at\n"
DAY = "2026-11-24T09:00:00+00:00"
NEXT = "2026-11-25T09:00:00+00:00"


def table(path, *rows: str):
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_the_same_file_again_changes_nothing(tmp_path):
    path = table(tmp_path / "a.csv", f"badge-1,Ana,badge,yes,{DAY}", f"badge-1,Bo,badge,no,{DAY}")
    assert bring(path, tmp_path).new == 2
    before = stored(tmp_path)
    counts = bring(path, tmp_path)
    assert (counts.new, counts.known) == (0, 2) and stored(tmp_path) == before


def test_an_overlapping_export_counts_nothing_twice(tmp_path):
    one, two = f"badge-1,Ana,badge,yes,{DAY}", f"badge-2,Ana,badge,no,{DAY}"
    bring(table(tmp_path / "a.csv", one, two), tmp_path)
    counts = bring(table(tmp_path / "b.csv", two, f"badge-3,Ana,badge,no,{NEXT}", two), tmp_path)
    assert (counts.new, counts.known) == (1, 2)
    assert len(stored(tmp_path)) == 3


def test_a_mind_that_was_changed_supersedes_whichever_export_comes_first(tmp_path):
    early = table(tmp_path / "a.csv", f"badge-1,Ana,badge,yes,{DAY}")
    late = table(tmp_path / "b.csv", f"badge-1,Ana,badge,no,{NEXT}")
    bring(early, tmp_path)
    bring(late, tmp_path)
    with store_in(tmp_path) as store:
        assert [row.answer for row in store.read_judgements(counting=True)] == ["no"]
    other = tmp_path / "other"
    other.mkdir()
    bring(late, other)
    assert bring(early, other).outdated == 1
    assert [row.answer for row in stored(other)] == ["no"]


def test_in_one_file_of_new_people_corrections_name_what_lasts(tmp_path):
    path = table(tmp_path / "a.csv", f"badge-1,Ana,badge,no,{NEXT}", f"badge-1,Ana,badge,yes,{DAY}")
    assert bring(path, tmp_path).new == 2
    rows = {row.answer: row for row in stored(tmp_path)}
    assert rows["no"].supersedes == rows["yes"].id and rows["yes"].supersedes is None
    assert bring(path, tmp_path).new == 0


def test_two_answers_that_nothing_orders_are_rejected(tmp_path):
    path = table(tmp_path / "a.csv", "badge-1,Ana,badge,yes,", "badge-1,Ana,badge,no,")
    ((where, reason),) = complaints(path, tmp_path)
    assert where == "line 3" and "in line 2" in reason


def test_one_wrong_row_keeps_all_out_and_nobody_is_entered(tmp_path):
    rows = [f"badge-{number % 6 + 1},person {number},badge,yes," for number in range(50)]
    path = table(tmp_path / "a.csv", *rows, "badge-9,Eve,badge,yes,")
    with pytest.raises(UserError, match="1 row is rejected, so nothing was imported"):
        bring(path, tmp_path)
    assert stored(tmp_path) == [] and not (tmp_path / "people.json").exists()


def test_twenty_rejected_rows_are_shown_and_the_rest_counted(tmp_path):
    path = table(tmp_path / "a.csv", *[f"badge-{number},Ana,badge,yes," for number in range(10, 60)])
    with pytest.raises(UserError) as caught:
        bring(path, tmp_path)
    message = str(caught.value)
    assert message.count("line ") == 20 and "and 30 more" in message and "50 rows are rejected" in message


def test_only_pseudonyms_reach_the_store(tmp_path):
    bring(table(tmp_path / "a.csv", "badge-1,Ana Müller,badge,yes,", "badge-2,Ana Müller,badge,yes,"), tmp_path)
    (name,) = {row.annotator for row in stored(tmp_path)}
    assert b"Ana" not in (tmp_path / "feedback.db").read_bytes()
    people = tmp_path / "people.json"
    assert Pseudonyms(people, {}).name_of(name) == "Ana Müller"
    assert stat.S_IMODE(people.stat().st_mode) == 0o600


def test_with_the_key_in_the_environment_a_machine_that_knows_nobody_recognises_what_is_there(tmp_path):
    path = table(tmp_path / "a.csv", "badge-1,Ana,badge,yes,")
    more = table(tmp_path / "b.csv", "badge-1,Ana,badge,yes,", "badge-2,Ana,badge,yes,")
    found = []
    for machine, file in (("one", path), ("two", more)):
        people = Pseudonyms(tmp_path / machine / "people.json", {KEY_VARIABLE: "k" * 32})
        with open_pseudonym_map(people) as names, store_in(tmp_path) as store:
            held = ImportContext(PictureIndex({"badge": BADGES}), {"badge": "binary"}, names)
            found.append(import_file(file, held, store)[1])
    assert [(counts.new, counts.known) for counts in found] == [(1, 0), (1, 1)]


def test_our_own_ids_are_kept_and_another_content_under_one_is_refused(tmp_path):
    row = vote(BADGES[0], "yes", annotator="a-000000000001")
    bring(write_lines(tmp_path / "a.jsonl", [row]), tmp_path)
    assert stored(tmp_path)[0].id == row["id"]
    changed = write_lines(tmp_path / "b.jsonl", [row | {"answer": "no"}])
    assert "in the store with other content" in complaints(changed, tmp_path)[0][1]
    twice = write_lines(tmp_path / "c.jsonl", [row | {"id": "x"}, row | {"id": "x", "answer": "no"}])
    reasons = dict(complaints(twice, tmp_path))
    assert "already the id of line 1" in reasons["line 2"] and "the store" in reasons["line 1"]


def test_another_picture_than_the_one_that_was_judged_is_refused(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [vote(BADGES[0], sha256="f" * 64)])
    assert "another picture was judged" in complaints(path, tmp_path)[0][1]


def test_looking_first_changes_nothing(tmp_path):
    path = table(tmp_path / "a.csv", "badge-1,Ana,badge,yes,", "badge-9,Ana,badge,yes,")
    with project(tmp_path) as held, prepare_import(path, held, None, options=ReadOptions()) as found:
        assert (found.counts.new, found.counts.rejected) == (1, 1)
        ((where, judgement),) = found.staging.preview(5)
    assert where == "line 2" and judgement.answer == "yes"
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_no_text_of_a_file_reaches_a_terminal_raw(tmp_path):
    odd = "\x1b[31m\u202e\ud800"
    rows = [vote(BADGES[0], **{field: odd}) for field in ("answer", "kind", "picture", "concept", "annotator", "id")]
    path = write_lines(tmp_path / "a.jsonl", rows)
    found = complaints(path, tmp_path)
    assert len(found) == len(rows)
    for _, reason in found:
        assert reason.isprintable() and reason.encode()


MANY = [candidate(f"many-{number}", f"{number:064x}") for number in range(5000)]


def many(path, rows: int):
    """A table of twenty people's answers to each of many pictures."""
    with path.open("w") as stream:
        stream.write(HEADER)
        for number in range(rows):
            who, answer = f"a-{number // len(MANY):012x}", "yes" if number % 3 else "no"
            stream.write(f"{MANY[number % len(MANY)].id},{who},badge,{answer},{DAY}\n")
    return path


def test_memory_does_not_grow_with_the_file(tmp_path):
    peak = {}
    for rows in (300, 3000):
        path = many(tmp_path / f"{rows}.csv", rows)
        with project(tmp_path, MANY) as held:
            tracemalloc.start()
            with prepare_import(path, held, None) as found:
                assert found.counts.new == rows
            peak[rows] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak[3000] < peak[300] * 1.5 + 200_000


def test_memory_does_not_grow_with_the_questions_that_were_answered_twice(tmp_path):
    peak = {}
    for pictures in (300, 3000):
        path = many(tmp_path / f"{pictures}.csv", pictures)
        later = path.read_text().removeprefix(HEADER).replace(DAY, NEXT)
        path.write_text(path.read_text() + later.replace(",no,", ",yes,"))
        with project(tmp_path, MANY) as held:
            tracemalloc.start()
            with prepare_import(path, held, None) as found:
                assert found.counts.new == 2 * pictures
            peak[pictures] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak[3000] < peak[300] * 1.5 + 200_000
