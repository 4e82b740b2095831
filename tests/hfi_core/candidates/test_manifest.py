"""A manifest and its pictures are trusted only as far as they can be checked."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.candidates.manifest import MANIFEST, Candidate, read_manifest, read_pictures
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_jsonl
from tests.support.projects import default_raw

SAMPLER = default_raw()["sampler"]


def row(name: str, sha256: str = "0" * 64, **changes) -> dict:
    base = {"id": name, "prompt": "a badge", "seed": 1, "sampler": SAMPLER, "model": "sha256:0", "sha256": sha256}
    return base | changes


@pytest.fixture
def folder(tmp_path):
    """Three candidates with their pictures."""
    rows = []
    for number, name in enumerate(("c", "a", "b")):
        save_image(tmp_path / "pictures" / f"{name}.png", np.full((4, 4, 3), number, np.uint8))
        rows.append(row(name, sha256_of_file(tmp_path / "pictures" / f"{name}.png")))
    write_jsonl(tmp_path / MANIFEST, rows)
    return tmp_path


def test_candidates_come_sorted_by_id_with_their_pictures(folder):
    candidates = read_manifest(folder)
    assert [candidate.id for candidate in candidates] == ["a", "b", "c"]
    assert read_pictures(folder, candidates)[:, 0, 0, 0].tolist() == [1, 2, 0]


def test_a_picture_s_file_follows_from_its_id():
    assert Candidate.model_validate(row("x-1")).file == "pictures/x-1.png"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (row("../../etc/passwd"), r"line 2: id: "),
        (row("a/b"), r"line 2: id: "),
        (row(".hidden"), r"line 2: id: "),
        (row("a\x00"), r"line 2: id: "),
        (row("x" * 129), r"line 2: id: "),
        (row(""), r"line 2: id: "),
        (row("good"), r"line 2: picture good occurs twice"),
        (row("other", file="/etc/passwd"), r"line 2: file: "),
        (row("other", seed=-1), r"line 2: seed: "),
        (row("other", sha256="abc"), r"line 2: sha256: "),
        (row("other", sampler={}), r"line 2: sampler\."),
        ({"id": "other"}, r"line 2: sha256: "),
        (row("other", prompt=None), r"line 2: a generated picture needs a prompt and a seed"),
        (row("other", seed=None), r"line 2: a generated picture needs a prompt and a seed"),
        (row("other", original={"file": "a.jpg"}), r"line 2: original\.sha256: "),
        ([], r"line 2: Input should be an object"),
        ("text", r"line 2: Input should be an object"),
    ],
)
def test_a_wrong_row_is_refused_by_file_and_line(tmp_path, wrong, words):
    lines = [json.dumps(row("good")), json.dumps(wrong)]
    (tmp_path / MANIFEST).write_text("\n".join(lines))
    with pytest.raises(UserError, match=words) as caught:
        read_manifest(tmp_path)
    assert MANIFEST in str(caught.value)


def test_a_picture_that_nobody_generated_here_needs_no_prompt_and_its_row_holds_only_what_is_known(tmp_path):
    known = {"id": "a", "sha256": "0" * 64, "generated": False}
    (tmp_path / MANIFEST).write_text(json.dumps(known))
    (candidate,) = read_manifest(tmp_path)
    assert candidate.model_dump(mode="json") == known


def test_a_generated_picture_s_row_is_what_it_always_was():
    assert Candidate.model_validate(row("a")).model_dump(mode="json") == row("a") | {"generated": True}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no rows"),
        (b"\xff\xfe{}", "cannot be read"),
        (b'{"id": "a"', "line 1: Invalid JSON"),
        (json.dumps(row("a")).encode() + b"\n\n", "line 2: Invalid JSON"),
        (b"\x80\x04\x95pickle", "cannot be read"),
        (b"[" * 100_000, "line 1: Invalid JSON"),
    ],
    ids=["empty", "not UTF-8", "torn", "empty line", "a pickle", "deep"],
)
def test_a_file_that_is_not_a_manifest_is_a_user_error(tmp_path, content, words):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_manifest(tmp_path)


def test_a_missing_manifest_and_a_folder_in_its_place_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="is missing: there are no candidates yet"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_a_manifest_of_any_bytes_is_a_user_error(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(UserError):
        read_manifest(tmp_path)


def test_a_missing_picture_is_named(folder):
    (folder / "pictures" / "b.png").unlink()
    with pytest.raises(UserError, match=r"b\.png is missing"):
        read_pictures(folder, read_manifest(folder))


def test_another_picture_than_the_manifest_says_is_refused(folder):
    save_image(folder / "pictures" / "b.png", np.full((4, 4, 3), 99, np.uint8))
    with pytest.raises(UserError, match=r"b\.png is not the picture"):
        read_pictures(folder, read_manifest(folder))


def test_pictures_of_unlike_sizes_are_refused_by_name(folder):
    save_image(folder / "pictures" / "d.png", np.zeros((4, 8, 3), np.uint8))
    rows = [row(c.id, c.sha256) for c in read_manifest(folder)]
    write_jsonl(folder / MANIFEST, [*rows, row("d", sha256_of_file(folder / "pictures" / "d.png"))])
    with pytest.raises(UserError, match=r"d\.png .*8 x 4.*4 x 4"):
        read_pictures(folder, read_manifest(folder))
