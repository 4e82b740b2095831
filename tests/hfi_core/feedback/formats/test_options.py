"""Options of an import: what they say is law, and what contradicts itself or would be ignored is refused."""

import json

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.formats.importer import prepare_import
from hfi_core.feedback.reader import read_judgements
from tests.support.format_imports import BADGES, bring, complaints, project, store_in, stored
from tests.support.judging import vote, write_lines

MAPPED = {"picture": "file", "answer": "verdict", "annotator": "who"}
COMMON = {"concept": "badge", "columns": MAPPED, "yes": ("remove",), "no": ("keep",)}


@pytest.fixture
def file(tmp_path):
    """Writes a file."""

    def write(content: str | bytes, name: str = "labels.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def answers(folder) -> dict[str, str]:
    return {row.picture: row.answer for row in stored(folder)}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("file,verdict,who,rating", "badge-1,remove,ana,1"),
        ("file,verdict,who,Rating", "badge-1,remove,ana,not one"),
        ("file,verdict,who,answer", "badge-1,remove,ana,no"),
        ("file,verdict,who,groups", "badge-1,remove,ana,badge-2 > badge-1"),
        ("file,verdict,who,picture,annotator", "badge-1,remove,ana,badge-2,bo"),
    ],
)
def test_a_mapped_column_goes_before_one_with_a_field_s_name(file, tmp_path, header, row):
    bring(file(f"{header}\n{row}\n"), tmp_path, rating_yes=4, **COMMON)
    assert answers(tmp_path) == {"badge-1": "yes"}


def test_a_column_that_is_mapped_is_not_used_under_its_own_name(file, tmp_path):
    path = file("picture,annotator,rating\nbadge-1,ana,bad\n")
    bring(path, tmp_path, concept="badge", columns={"answer": "rating"}, yes=("bad",))
    assert answers(tmp_path) == {"badge-1": "yes"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [("Answer,answer", "may both be the field 'answer'"), ("answer,rating", "choose one with")],
)
def test_two_columns_that_may_be_the_answer_are_refused(file, tmp_path, header, reason):
    path = file(f"picture,annotator,{header}\nbadge-1,ana,yes,1\n")
    with pytest.raises(UserError, match=reason):
        bring(path, tmp_path, concept="badge", rating_yes=1)


@pytest.mark.parametrize(
    ("name", "content", "options", "reason"),
    [
        ("a.csv", "picture,annotator,answer\n", {}, "no rows"),
        ("a.jsonl", "\n{}\n".replace("{}", ""), {}, "empty"),
        ("a.csv", "picture,annotator,answer\nbadge-1,ana,\n", {"skip_empty": True}, "none of 1 rows"),
        ("x.json", "<!DOCTYPE html><title>Sorry, an error</title>", {}, "HTML"),
        ("x.csv", "<html><body>a, b, c\nd, e, f</body></html>", {}, "HTML"),
        ("x.json", "Access denied, sorry\n", {}, "not JSON"),
        ("a.json", '[{"id": 1, "data": {"image": "badge-1"}, "annotations": []}]', {}, "without an answer"),
        (
            "a.json",
            '[{"id": 1, "data": {"image": "badge-1"}, "annotations": [{"completed_by": 1, "result": '
            '[{"type": "rectanglelabels", "from_name": "box", "value": {"rectanglelabels": ["skull"], "x": 1}}]}]}]',
            {}, "rectanglelabels",
        ),
        (
            "a.json",
            '[{"id": 1, "data": {"image": "badge-1"}, "annotations": [{"completed_by": 1, "result": '
            '[{"type": "choices", "from_name": "choice", "value": {"choices": ["yes"]}}]}]}]',
            {"control": "chioce"}, r"control 'chioce' .*choice \(choices\)",
        ),
        (
            "a.json", '[{"image": "badge-1", "annotator": 1, "choice": "yes"}]', {"control": "chioce"},
            "'chioce'.*'choice'",
        ),
    ],
)  # fmt: skip
def test_a_file_of_which_nothing_counts_is_refused(file, tmp_path, name, content, options, reason):
    with pytest.raises(UserError, match=reason):
        bring(file(content, name), tmp_path, concept="badge", **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"yes": ("Remove",), "no": ("remove ",)}, "contradict each other"),
        ({"no": ("can’t",), "cant_tell": ("can't",)}, "contradict each other"),
        ({"yes": ("1",), "no": ("1.0",)}, "contradict each other"),
        ({"yes": ("",)}, "is not a word"),
        ({"rating_yes": 2, "rating_no": 4}, "contradict each other"),
        ({"rating_yes": 3, "rating_no": 3}, "contradict each other"),
        ({"rating_yes": float("nan")}, "is not a number"),
        ({"rating_yes": 4, "rating_no": float("-inf")}, "is not a number"),
        ({"rating_no": 2}, "together with --rating-yes"),
        ({"columns": {"picture": "file", "sha256": "file"}}, "a column holds one field"),
        ({"columns": {"answer": "a", "rating": "b"}}, "only one of them"),
        ({"columns": {"left": "a"}}, "no field 'left'"),
        ({"annotator": " "}, "--annotator is empty"),
        ({"concept": ""}, "--concept is empty"),
        ({"control": "choice"}, "does not apply to csv"),
        ({"buckets": ("a",)}, "does not apply to csv"),
        ({"ground_truth": True}, "does not apply to csv"),
        ({"delimiter": "::"}, "is not one character"),
        ({"delimiter": "a"}, "is not one character"),
        ({"quoting": "all"}, "--quoting 'all' is not known"),
        ({"delimiter": ";", "format": "tsv"}, "contradict each other"),
        ({"delimiter": ";", "format": "jsonl"}, "does not apply to jsonl"),
        ({"quoting": "none", "format": "label-studio"}, "does not apply to label-studio"),
        ({"skip_empty": True, "format": "label-studio-min"}, "does not apply to label-studio-min"),
        ({"columns": {"answer": "x"}, "format": "label-studio"}, "--control names the answer"),
    ],
)
def test_options_that_contradict_each_other_or_do_not_apply_are_refused(file, tmp_path, options, reason):
    path = file("picture,annotator,answer\nbadge-1,ana,yes\n")
    with pytest.raises(UserError, match=reason):
        bring(path, tmp_path, **({"concept": "badge"} | options))


PRODIGY = {
    "image": "badge-1.png", "_input_hash": 1, "options": [{"id": "yes"}], "accept": ["yes"], "answer": "accept",
    "_annotator_id": "ds-ana", "_timestamp": 1764000000,
}  # fmt: skip
GROUND_TRUTH = {
    "source-ref": "s3://b/badge-1.png", "bad": 1,
    "bad-metadata": {"class-name": "bad", "creation-date": "2018-10-18T22:18:13.527256"},
}  # fmt: skip
BY = {"picture": "image", "annotator": "_annotator_id", "answered_at": "_timestamp"}


@pytest.mark.parametrize(
    ("row", "options", "answer", "year"),
    [
        (PRODIGY, {"columns": BY, "yes": ("accept",)}, "yes", 2025),
        (PRODIGY, {"columns": BY | {"answer": "accept"}}, "yes", 2025),
        (
            GROUND_TRUTH,
            {
                "columns": {
                    "picture": "source-ref", "answer": "bad-metadata.class-name",
                    "answered_at": "bad-metadata.creation-date",
                },
                "annotator": "workers", "no": ("bad",), "timezone": "UTC",
            },
            "no", 2018,
        ),
    ],
)  # fmt: skip
def test_json_lines_of_another_tool_are_read_with_their_keys_mapped(tmp_path, row, options, answer, year):
    bring(write_lines(tmp_path / "a.jsonl", [row]), tmp_path, concept="badge", **options)
    (judgement,) = stored(tmp_path)
    assert (judgement.picture, judgement.answer, judgement.answered_at.year) == ("badge-1", answer, year)


@pytest.mark.parametrize(
    ("row", "columns", "reason"),
    [
        (PRODIGY, BY | {"answered_at": "_time"}, "answered_at=_time: nothing in the file has such a key"),
        (PRODIGY | {"accept": ["yes", "no"]}, BY | {"answer": "accept"}, "is not a single choice"),
        (PRODIGY | {"accept": []}, BY | {"answer": "accept"}, "has no answer"),
    ],
)
def test_keys_that_say_nothing_are_refused(tmp_path, row, columns, reason):
    path = write_lines(tmp_path / "a.jsonl", [row])
    with pytest.raises(UserError, match=reason):
        bring(path, tmp_path, concept="badge", columns=columns)


@pytest.mark.parametrize("name", ["", "  ", None])
def test_an_empty_annotator_is_the_one_of_the_options(tmp_path, name):
    row = {"picture": "badge-1", "annotator": name, "answer": "yes"}
    path = write_lines(tmp_path / "a.jsonl", [row])
    assert "names no annotator" in complaints(path, tmp_path, concept="badge")[0][1]
    assert bring(path, tmp_path, concept="badge", annotator="ana").new == 1


def test_what_was_forgotten_does_not_come_back_and_a_dry_run_says_so(file, tmp_path):
    path = file("picture,annotator,concept,answer\nbadge-1,a-000000000001,badge,yes\n")
    bring(path, tmp_path)
    with store_in(tmp_path) as store:
        store.forget("a-000000000001", judgements=True)
    with project(tmp_path) as context, store_in(tmp_path) as store, prepare_import(path, context, store) as prepared:
        assert (prepared.counts.new, prepared.counts.known) == (0, 1)
    counts = bring(path, tmp_path)
    assert (counts.new, counts.known) == (0, 1) and stored(tmp_path) == []


def test_a_rejected_row_is_not_counted_as_new(tmp_path):
    row = vote(BADGES[0], "yes", annotator="a-000000000001")
    rows = [row, row | {"id": "x"}, row | {"id": "y", "supersedes": "z"}]
    path = write_lines(tmp_path / "a.jsonl", rows)
    with project(tmp_path) as context, prepare_import(path, context, None) as prepared:
        assert (prepared.counts.new, prepared.counts.rejected) == (1, 2)
    bring(write_lines(tmp_path / "b.jsonl", [row]), tmp_path)
    path = write_lines(tmp_path / "c.jsonl", [row | {"answer": "no"}])
    with project(tmp_path) as context, store_in(tmp_path) as store, prepare_import(path, context, store) as prepared:
        assert (prepared.counts.new, prepared.counts.known, prepared.counts.rejected) == (0, 0, 1)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("sep=;\nfile;verdict;who\nbadge-1;remove;ana\n", {}),
        ('"sep=|"\r\nfile|verdict|who\r\nbadge-1|remove|ana\r\n', {}),
        ("sep=\t\nfile\tverdict\twho\nbadge-1\tremove\tana\n", {}),
        ("file|verdict|who\nbadge-1|remove|ana\n", {"delimiter": "|"}),
        ("file;verdict;who;a,b,c,d\nbadge-1;remove;ana;\n", {"delimiter": ";"}),
        ('file;"a, b, c, d";verdict;who\nbadge-1;;remove;ana\n', {}),
        ("file,verdict,who\rbadge-1,remove,ana\r", {}),
        ("file,verdict,who\rbadge-1,remove,ana", {}),
        (",file,verdict,who\n0,badge-1,remove,ana\n", {}),
    ],
)
def test_a_table_is_read_with_its_delimiter_and_line_ends(file, tmp_path, content, options):
    bring(file(content), tmp_path, **COMMON, **options)
    assert answers(tmp_path) == {"badge-1": "yes"}


def test_lines_that_end_with_cr_are_counted_and_may_fill_more_than_a_chunk(file, tmp_path):
    rows = f"badge-1,keep,a-000000000001,{'x' * 1900}\r" * 600
    path = file(f"file,verdict,who,note\r{rows}badge-9,keep,ana,\r")
    assert [location for location, _ in complaints(path, tmp_path, **COMMON)] == ["line 602"]


@pytest.mark.parametrize(
    ("content", "options", "location", "reason"),
    [
        ("file;verdict,who\nbadge-1;remove,ana\n", {"columns": {}}, "line 1", "--delimiter"),
        ("sep=;\nfile;verdict;who\nbadge-9;remove;ana\n", {}, "line 3", "no picture 'badge-9'"),
        ("sep=;\nfile;verdict;who\nbadge-1;remove;ana\n", {"delimiter": ","}, "line 1", "separates the cells"),
    ],
)
def test_a_table_that_contradicts_itself_is_rejected_by_its_line(file, tmp_path, content, options, location, reason):
    ((found, message),) = complaints(file(content), tmp_path, **(COMMON | options))
    assert found == location and reason in message


QUOTED = 'file\tverdict\twho\tnote\nbadge-1\tremove\tana\t"bad\nbadge-2\tkeep\tana\t{}\nbadge-3\tkeep\tana\tgood"\n'


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_quotation_mark_that_swallows_rows_is_rejected_and_can_be_text(file, tmp_path, name):
    path = file(QUOTED.format("").replace("\t", "\t" if name == "a.tsv" else ","), name)
    ((location, reason),) = complaints(path, tmp_path, **COMMON)
    assert location == "line 2" and "--quoting none" in reason
    assert bring(path, tmp_path, quoting="none", **COMMON).new == 3
    assert {row.note for row in stored(tmp_path)} == {'"bad', None, 'good"'}


def test_a_note_of_several_lines_is_a_note(file, tmp_path):
    path = file('file,verdict,who,note\nbadge-1,remove,ana,"bad, very\nand worse"\n')
    bring(path, tmp_path, **COMMON)
    assert stored(tmp_path)[0].note == "bad, very\nand worse"


@pytest.mark.parametrize(
    ("answer", "options", "parsed"),
    [
        ("can’t tell", {}, "cant_tell"),
        ("Can‘t  tell", {}, "cant_tell"),
        ("can't\u00a0tell", {}, "cant_tell"),
        ("1.0", {"yes": ("1",), "no": ("0",)}, "yes"),
        ("0.0", {"yes": ("1",), "no": ("0",)}, "no"),
        ("4,5", {"rating_yes": 4, "rating_no": 2}, "yes"),
        ("1,0", {"rating_yes": 4, "rating_no": 2}, "no"),
        ("3.5", {"rating_yes": 4, "rating_no": 2}, "cant_tell"),
        ("1,500", {"rating_yes": 4}, None),
        ("1_0", {"rating_yes": 4}, None),
        ("nan", {"rating_yes": 4}, None),
    ],
)
def test_an_answer_is_read_as_its_author_means_it(file, tmp_path, answer, options, parsed):
    path = file(f"picture;annotator;answer\nbadge-1;ana;{answer}\n")
    if parsed is None:
        assert "line 2" in dict(complaints(path, tmp_path, concept="badge", **options))
    else:
        bring(path, tmp_path, concept="badge", **options)
        assert answers(tmp_path) == {"badge-1": parsed}


def test_rows_without_an_answer_are_skipped_only_where_it_is_asked_for(file, tmp_path):
    path = file("picture,annotator,answer\nbadge-1,ana,yes\nbadge-2,ana, \n")
    ((location, reason),) = complaints(path, tmp_path, concept="badge")
    assert location == "line 3" and "--skip-empty" in reason
    counts = bring(path, tmp_path, concept="badge", skip_empty=True)
    assert (counts.new, counts.skipped) == (1, 1)


@pytest.mark.parametrize("digest", [f"sha256:{BADGES[0].sha256}", f"SHA256:{BADGES[0].sha256.upper()}"])
def test_a_digest_may_have_its_prefix(tmp_path, digest):
    bring(write_lines(tmp_path / "a.jsonl", [vote(BADGES[0], sha256=digest)]), tmp_path)
    assert answers(tmp_path) == {"badge-1": "yes"}


TASK = '{"id": 1, "data": {"image": "badge-1"}, "annotations": [{"completed_by": 1, "completed_by": 2, "result": []}]}'


@pytest.mark.parametrize(
    ("name", "content", "location"),
    [
        ("a.jsonl", json.dumps(vote(BADGES[0]))[:-1] + ', "answer": "no"}', "line 1"),
        ("a.json", f"[{TASK}]", "item 1"),
    ],
)
def test_a_key_that_occurs_twice_is_rejected(file, tmp_path, name, content, location):
    ((found, reason),) = complaints(file(content, name), tmp_path, concept="badge")
    assert found == location and "occurs twice" in reason


def test_a_key_that_occurs_twice_in_a_feedback_file_is_refused(file):
    path = file(json.dumps(vote(BADGES[0]))[:-1] + ', "answer": "no"}', "people.jsonl")
    with pytest.raises(UserError, match="line 1: holds the key 'answer' twice"):
        list(read_judgements(path))
