import codecs
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.feedback.ledger import open_ledger
from hfi_core.feedback.reader import MAX_LINE_BYTES, read_judgements
from tests.support.judging import candidate, ranking, vote, write_lines

PICTURES = {name: candidate(name, f"{k:064x}") for k, name in enumerate(("p1", "p2", "p3"))}
GOOD = [vote(picture, annotator=who) for picture in PICTURES.values() for who in ("ana", "bo")]


def _read(path, kind="binary"):
    with open_ledger(path, "badge", kind, PICTURES) as ledger:
        return list(ledger.tallies() if kind == "binary" else ledger.rankings())


def _refusal(path, kind="binary") -> str:
    with pytest.raises(UserError) as caught:
        _read(path, kind)
    return str(caught.value)


def test_lines_are_numbered_blank_ones_passed_over_and_a_byte_order_mark_too(tmp_path):
    path = tmp_path / "f.jsonl"
    lines = [json.dumps(row) for row in GOOD[:2]]
    path.write_bytes(codecs.BOM_UTF8 + f"{lines[0]}\r\n\n  \n{lines[1]}".encode())
    assert [(number, judgement.annotator) for number, judgement in read_judgements(path)] == [(1, "ana"), (4, "bo")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (vote(candidate("p9")), ("picture:", "'p9'", "bring back the candidates")),
        (vote(PICTURES["p1"], sha256="f" * 64), ("sha256:", "another picture was judged", "have the new ones judged")),
        (vote(PICTURES["p1"], "perhaps"), ("answer:", "'yes', 'no' or 'cant_tell'", "feedback-format.md")),
        (vote(PICTURES["p1"], color="red"), ("color:", "feedback-format.md")),
        ({"id": "x", "annotator": "ana", "concept": "badge"}, ("kind:", "feedback-format.md")),
        (vote(PICTURES["p1"], kind="stars"), ("kind:", "binary")),
        (ranking([["p1"], ["p2"]]), ("kind:", "'ranking'", "concepts.badge.feedback")),
        (GOOD[0], ("id:", "already the id of line 1", "remove one of the lines")),
        ([GOOD[1]], ("feedback-format.md",)),
        ("yes", ("feedback-format.md",)),
        (None, ("feedback-format.md",)),
    ],
)
def test_a_wrong_line_is_named_with_its_field_and_the_remedy(tmp_path, row, expected):
    path = write_lines(tmp_path / "f.jsonl", [GOOD[0], row, GOOD[2]])
    message = _refusal(path)
    assert message.startswith(f"{path}, line 2")
    for part in ("To fix this:", *expected):
        assert part in message


def test_a_ranking_that_names_an_unknown_picture_is_refused(tmp_path):
    path = write_lines(tmp_path / "f.jsonl", [ranking([["p1"], ["p2"]]), ranking([["p3"]], not_applicable=["p9"])])
    assert "line 2, groups: names 'p9'" in _refusal(path, "ranking")


def test_a_ranking_of_a_picture_that_was_redrawn_since_is_refused(tmp_path):
    seen = {name: PICTURES[name].sha256 for name in ("p1", "p2")}
    rows = [ranking([["p1"], ["p2"]], digests=seen), ranking([["p2"], ["p1"]], "bo", digests=seen | {"p2": "f" * 64})]
    assert len(_read(write_lines(tmp_path / "f.jsonl", rows[:1]), "ranking")) == 1
    message = _refusal(write_lines(tmp_path / "f.jsonl", rows), "ranking")
    assert "line 2, digests: is not that of picture 'p2'" in message and "another picture was judged" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"id": "\xff"}\n', "line 1: is not UTF-8"),
        ("\n".join(map(json.dumps, GOOD)).encode("utf-16"), "line 1: is not UTF-8"),
        (b'{"id": ' * 3000, "line 1: is not a JSON object"),
        (b"[" * 100_000, "line 1: is not a JSON object"),
        (b'{"note": "' + b"n" * MAX_LINE_BYTES, "line 1: is longer than"),
        (b"\x80\x05\x95 a pickle", "line 1: is not UTF-8"),
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b'{"id": "\\ud800"}', "line 1"),
        (b"\x00\x00\x00", "line 1: is not a JSON object"),
    ],
)
def test_a_file_that_is_not_a_feedback_file_is_refused(tmp_path, content, expected):
    path = tmp_path / "f.jsonl"
    path.write_bytes(content)
    assert expected in _refusal(path)


def test_a_missing_file_that_dvc_tracks_is_to_be_pulled(tmp_path):
    path = tmp_path / "data" / "feedback" / "f.jsonl"
    assert "If DVC tracks it, `dvc pull`" in _refusal(path)
    path.parent.mkdir(parents=True)
    (tmp_path / "data" / "feedback.dvc").write_text("outs: []\n")
    assert f"DVC tracks it: `dvc pull {path}`" in _refusal(path)
    (tmp_path / "data" / "feedback.dvc").unlink()
    path.with_name("f.jsonl.dvc").write_text("outs: []\n")
    assert f"DVC tracks it: `dvc pull {path}`" in _refusal(path)


def test_a_directory_is_refused(tmp_path):
    assert "is a folder" in _refusal(tmp_path)
    (tmp_path / "file").write_text("")
    assert "cannot be read" in _refusal(tmp_path / "file" / "f.jsonl")


def test_a_file_about_other_concepts_names_them(tmp_path):
    path = write_lines(tmp_path / "f.jsonl", [vote(PICTURES["p1"], concept="medal")])
    assert "holds no judgement on the concept 'badge': it is about medal" in _refusal(path)


def test_judgements_on_other_concepts_are_held_to_the_format_but_to_no_manifest(tmp_path):
    other = vote(candidate("elsewhere"), concept="medal")
    path = write_lines(tmp_path / "f.jsonl", [GOOD[0], other])
    assert [tally.picture for tally in _read(path)] == ["p1"]
    assert "line 3, answer" in _refusal(write_lines(path, [GOOD[0], other, other | {"id": "x", "answer": 1}]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    line=st.integers(0, len(GOOD) - 1),
    start=st.floats(0, 1),
    length=st.integers(0, 400),
    junk=st.binary(max_size=12).filter(lambda junk: b"\n" not in junk),
)
def test_a_damaged_line_is_read_or_named_and_never_a_traceback(tmp_path, line, start, length, junk):
    lines = [json.dumps(row).encode() for row in GOOD]
    place = int(start * len(lines[line]))
    lines[line] = lines[line][:place] + junk + lines[line][place + length :]
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"\n".join(lines))
    try:
        _read(path)
    except UserError as error:
        # An id or an annotator that became another's clashes with a line before or after.
        assert f"line {line + 1}" in str(error)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_truncated_file_is_read_up_to_a_whole_line_or_its_last_line_is_named(tmp_path, share):
    content = "".join(json.dumps(row) + "\n" for row in GOOD).encode()
    cut = content[: int(share * len(content))]
    path = tmp_path / "f.jsonl"
    path.write_bytes(cut)
    try:
        assert sum(tally.yes for tally in _read(path)) == len(cut.splitlines())
    except UserError as error:
        assert f"line {len(cut.splitlines())}" in str(error) or not cut


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(["binary", "ranking", "p1"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOD[0]) + ["groups"]), inner),
        max_leaves=12,
    )
)
def test_any_json_value_for_a_line_is_refused_with_its_line(tmp_path, value):
    path = write_lines(tmp_path / "f.jsonl", [GOOD[0], value])
    assert f"{path}, line 2" in _refusal(path)


def test_memory_does_not_grow_with_the_file(tmp_path):
    path, peaks = tmp_path / "f.jsonl", []
    for count in (500, 5000):
        # Strings of fewer than 64 characters go to the parser's own cache, which has room for 16,384.
        write_lines(path, (vote(PICTURES["p1"], annotator=f"{k:080d}", note="n" * 500) for k in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in read_judgements(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 50_000
