"""Tables as people have them: any header, any delimiter, spreadsheets' habits; what cannot be read is named."""

import codecs

import pytest

from hfi_core.errors import UserError
from tests.support.format_imports import BADGES, bring, complaints, stored

SHA = BADGES[0].sha256


@pytest.fixture
def table(tmp_path):
    """Writes a table."""

    def write(content: str | bytes, name: str = "labels.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_and_a_byte_order_mark_passed_over(table, tmp_path, delimiter):
    lines = ["picture;annotator;concept;answer", "badge-1;Ana;badge;yes", "badge-2;Ana;badge;no"]
    path = table(codecs.BOM_UTF8 + "\r\n".join(lines).replace(";", delimiter).encode())
    assert bring(path, tmp_path).new == 2
    assert sorted((row.picture, row.answer) for row in stored(tmp_path)) == [("badge-1", "yes"), ("badge-2", "no")]


def test_a_table_of_somebody_else_is_read_with_its_columns_and_words_named(table, tmp_path):
    path = table("id,Datei,wer,Urteil\n1,badge-1.png,Ana,böse\n2,badge-2.png,Bo,gut\n3,badge-3.png,Bo,?\n")
    counts = bring(
        path,
        tmp_path,
        columns={"picture": "Datei", "annotator": "wer", "answer": "Urteil"},
        concept="badge",
        yes=("Böse",),
        no=("gut",),
    )
    assert counts.new == 3
    answers = {row.picture: row.answer for row in stored(tmp_path)}
    assert answers == {"badge-1": "yes", "badge-2": "no", "badge-3": "cant_tell"}
    assert all(row.id.startswith("import-") for row in stored(tmp_path))


def test_what_the_options_say_goes_before_what_is_usual(table, tmp_path):
    path = table("picture,annotator,concept,answer\nbadge-1,Ana,badge,yes\n")
    bring(path, tmp_path, yes=("no",), no=("yes",))
    assert stored(tmp_path)[0].answer == "no"


def test_ratings_need_to_be_given_a_meaning(table, tmp_path):
    path = table("picture,annotator,concept,answer\nbadge-1,Ana,badge,5\nbadge-2,Ana,badge,3\nbadge-3,Ana,badge,1\n")
    assert "--rating-yes" in complaints(path, tmp_path)[0][1]
    bring(path, tmp_path, rating_yes=4, rating_no=2)
    assert [row.answer for row in sorted(stored(tmp_path), key=lambda row: row.picture)] == ["yes", "cant_tell", "no"]


def test_a_column_of_ratings_is_never_taken_for_yes_and_no(table, tmp_path):
    path = table("picture,annotator,concept,rating\nbadge-1,Ana,badge,1\n")
    assert "--rating-yes" in complaints(path, tmp_path)[0][1]
    bring(path, tmp_path, rating_yes=4)
    assert stored(tmp_path)[0].answer == "no"


def test_rankings_are_read(table, tmp_path):
    path = table("groups,not_applicable,annotator,concept\nklara-1 > klara-2 = klara-3,klara-4,Ana,klara\n")
    bring(path, tmp_path)
    (row,) = stored(tmp_path)
    assert row.groups == (("klara-1",), ("klara-2", "klara-3")) and row.not_applicable == ("klara-4",)
    assert row.digests == {f"klara-{number}": f"{number + 100:064x}" for number in range(1, 5)}


@pytest.mark.parametrize(
    ("digests", "reason"),
    [
        (f"klara-1={101:064x} klara-2={7:064x}", "'klara-2' has another sha256 in the manifest"),
        (f"klara-1={101:064x} klara-3={103:064x}", "digests: 'klara-3' is neither ranked nor not_applicable"),
        ("klara-1", "'klara-1' has another sha256"),
    ],
)
def test_a_ranking_of_other_pictures_than_the_manifests_is_rejected(table, tmp_path, digests, reason):
    path = table(f"groups,digests,annotator,concept\nklara-1 > klara-2,{digests},Ana,klara\n")
    assert reason in complaints(path, tmp_path)[0][1]


def test_a_picture_is_found_by_its_digest_alone(table, tmp_path):
    bring(table(f"sha256,annotator,concept,answer\n{SHA.upper()},Ana,badge,yes\n"), tmp_path)
    assert stored(tmp_path)[0].picture == "badge-1"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("badge-9,Ana,badge,yes", "the manifest has no picture 'badge-9'"),
        ("../badge-1.exe,Ana,badge,yes", "no picture"),
        ("badge-1,,badge,yes", "names no annotator"),
        ("badge-1,Ana,other,yes", "there is no concept 'other' in params.yaml; there are badge, klara"),
        ("badge-1,Ana,,yes", "names no concept; name it with --concept"),
        ("badge-1,Ana,klara,yes", "no picture 'badge-1'|params.yaml asks for ranking"),
        ("badge-1,Ana,badge,", "has no answer; .*--skip-empty"),
        ("badge-1,Ana,badge,maybe", "'maybe' has no meaning yet"),
        (",Ana,badge,yes", "names no picture"),
        ("badge-1,Ana,badge", "has 3 cells where the header has 4"),
        ("badge-1,A\x07na,badge,yes", "or control characters"),
    ],
)
def test_a_rejected_row_is_named_by_line_and_reason(table, tmp_path, row, reason):
    import re

    path = table(f'picture,annotator,concept,answer\n"badge-2",Ana,badge,"yes"\n\n{row}\nbadge-3,Ana,badge,no\n')
    ((where, message),) = complaints(path, tmp_path)
    assert where == "line 4" and re.search(reason, message), message
    with pytest.raises(UserError, match="line 4: "):
        bring(path, tmp_path)
    assert stored(tmp_path) == []


def test_lines_are_counted_as_an_editor_counts_them(table, tmp_path):
    path = table('picture,annotator,concept,answer,note\nbadge-1,Ana,badge,yes,"two\nlines"\nbadge-9,Ana,badge,yes,\n')
    assert [where for where, _ in complaints(path, tmp_path)] == ["line 4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("picture,annotator\n".encode("utf-16"), "UTF-16"),
        ("picture,annotator\n".encode("utf-16-le"), "UTF-16"),
        ("picture,annotator\n".encode("utf-32"), "UTF-32"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\x1f\x8brest", "gzip"),
        (b"", "is empty"),
    ],
)
def test_what_is_not_a_utf_8_table_is_refused_by_its_name(table, tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        bring(table(content), tmp_path)


@pytest.mark.parametrize(
    ("content", "where", "expected"),
    [
        ("picture,annotator,concept,answer\nbadge-1,Jos\xe9,badge,yes\n".encode("latin-1"), "line 2", "Windows-1252"),
        (b'picture,annotator,concept,answer\nbadge-1,"Ana,badge,yes\n', "line 2", "unexpected end"),
        (b"picture,annotator,concept,answer\nbadge-1,Ana,badge," + b"y" * 200_000 + b"\n", "line 2", "field limit"),
        (b"picture,annotator,concept,answer\n" + b"y" * (2 << 20) + b"\n", "line 2", "longer than"),
        (b"picture,picture,concept,answer\n", "line 1", "'picture' twice"),
    ],
)
def test_what_breaks_a_table_is_named_with_its_line(table, tmp_path, content, where, expected):
    ((found, message),) = complaints(table(content), tmp_path)
    assert found == where and expected in message


@pytest.mark.parametrize("columns", [{"picture": "gone"}, {"colour": "answer"}])
def test_a_mapping_that_does_not_fit_is_refused(table, tmp_path, columns):
    path = table("picture,annotator,concept,answer\nbadge-1,Ana,badge,yes\n")
    with pytest.raises(UserError, match="--column"):
        bring(path, tmp_path, columns=columns)


def test_a_column_id_of_somebody_else_names_no_judgement(table, tmp_path):
    bring(table("id,picture,annotator,answer\n1,badge-1,Ana,yes\n", "one.csv"), tmp_path, concept="badge")
    bring(table("id,picture,annotator,answer\n1,badge-2,Ana,no\n", "two.csv"), tmp_path, concept="badge")
    assert len(stored(tmp_path)) == 2
