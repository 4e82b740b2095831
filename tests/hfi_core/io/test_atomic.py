"""Files and folders appear whole or not at all."""

import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file, atomic_folder, is_disk_full
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder, sha256_of_json
from hfi_core.io.json_files import write_json, write_jsonl
from tests.support.small_disk import small_disk
from tests.support.waiting import PATIENCE


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_file_appears_with_its_folders(tmp_path):
    with atomic_file(tmp_path / "a" / "b.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a" / "b.txt").exists()
    assert (tmp_path / "a" / "b.txt").read_text() == "new"
    assert listing(tmp_path) == {"a", "a/b.txt"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder", "folder is a folder; name a file"),
        ("file/x.html", "because .*/file is a file"),
        ("file/a/x.html", "because .*/file is a file"),
    ],
)
def test_a_path_that_cannot_be_a_file_is_refused_before_anything_is_written(tmp_path, path, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("earlier")
    with pytest.raises(UserError, match=message), atomic_file(tmp_path / path):
        raise AssertionError("the block must not run")
    assert listing(tmp_path) == {"folder", "file"}


def test_an_error_leaves_the_earlier_file_and_nothing_beside(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "b.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "b.txt").read_text() == "old"
    assert listing(tmp_path) == {"b.txt"}


def test_a_folder_replaces_the_earlier_one_in_whole(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "new.txt").write_text("new")
        assert listing(tmp_path / "out") == {"old.txt"}
    assert listing(tmp_path) == {"out", "out/new.txt"}


def test_an_error_leaves_the_earlier_folder_and_nothing_beside(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "new.txt").write_text("new")
        raise RuntimeError
    assert listing(tmp_path) == {"out", "out/old.txt"}


def test_what_an_interrupted_run_left_beside_a_folder_is_not_taken_over(tmp_path):
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "kept.txt").write_text("")
        leftover = temporary
    leftover.mkdir()
    (leftover / "stale.txt").write_text("")
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "new.txt").write_text("")
    assert listing(tmp_path) == {"out", "out/new.txt"}


def test_a_folder_is_replaced_where_the_system_cannot_exchange_two(tmp_path, monkeypatch):
    monkeypatch.setattr("hfi_core.io.atomic.ctypes.CDLL", lambda *_, **__: object())
    for name in ("one", "two"):
        with atomic_folder(tmp_path / "out") as temporary:
            (temporary / name).write_text("")
    assert listing(tmp_path) == {"out", "out/two"}


WRITER = """
import sys
from pathlib import Path
from hfi_core.io.atomic import atomic_file, atomic_folder
root = Path(sys.argv[1])
print("ready", flush=True)
for turn in range(1_000_000):
    text = f"{turn:09d}\\n" * 2000
    with atomic_file(root / "file") as temporary:
        temporary.write_text(text)
    with atomic_folder(root / "folder") as temporary:
        for name in "abc":
            (temporary / name).write_text(text)
"""


def whole(text: str) -> bool:
    lines = text.splitlines()
    return len(lines) == 2000 and len(set(lines)) == 1


def kill_a_writer(root: Path, after: float, once: Path) -> None:
    """Kill a writer some seconds after it began and a path is there."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE)
    process.stdout.readline()
    until = time.monotonic() + PATIENCE
    while not once.exists() and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def kill_series(root: Path, times: int) -> None:
    rng = random.Random(times)
    for number in range(times):
        kill_a_writer(root, rng.uniform(0.005, 0.2), once=root / "file" if number else root)
        if (root / "file").exists():
            assert whole((root / "file").read_text())
        if (root / "folder").exists():
            texts = [(root / "folder" / name).read_text() for name in "abc"]
            assert listing(root / "folder") == {"a", "b", "c"}
            assert whole(texts[0]) and len(set(texts)) == 1
    with atomic_folder(root / "folder") as temporary:
        (temporary / "after").write_text("")
    assert listing(root / "folder") == {"after"}


@pytest.mark.integration
def test_a_writer_killed_at_random_moments_leaves_whole_files(tmp_path):
    kill_series(tmp_path, 5)
    assert (tmp_path / "file").exists()


@pytest.mark.soak
def test_a_writer_killed_at_many_random_moments_leaves_whole_files(tmp_path):
    kill_series(tmp_path, 100)


@pytest.mark.integration
def test_a_reader_sees_a_whole_file_while_it_is_replaced(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        seen = set()
        until = time.monotonic() + PATIENCE
        while len(seen) < 20 and time.monotonic() < until:
            if (tmp_path / "file").exists():
                text = (tmp_path / "file").read_text()
                assert whole(text)
                seen.add(text[:9])
        assert len(seen) >= 2
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_full_disk_leaves_the_earlier_file_and_says_so(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        write_json(disk / "figures.json", {"old": 1})
        with pytest.raises(UserError, match=r"figures\.json.*disk is full.*earlier"):
            write_json(disk / "figures.json", {"new": "x" * 200_000})
        assert listing(disk) == {"figures.json"}
        assert "old" in (disk / "figures.json").read_text()


def test_a_full_disk_leaves_the_earlier_folder_and_says_so(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        with atomic_folder(disk / "out") as temporary:
            (temporary / "old.txt").write_text("old")
        with pytest.raises(UserError, match=r"out.*disk is full"), atomic_folder(disk / "out") as temporary:
            write_json(temporary / "figures.json", {"new": "x" * 200_000})
        assert listing(disk) == {"out", "out/old.txt"}


def test_a_full_disk_while_a_folder_is_copied_is_named_too(tmp_path):
    (tmp_path / "much").mkdir()
    for name in ("a", "b"):
        (tmp_path / "much" / name).write_bytes(bytes(200_000))
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(UserError, match=r"out.*disk is full"), atomic_folder(disk / "out") as temporary:
            shutil.copytree(tmp_path / "much", temporary / "much")
        assert listing(disk) == set()


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EDQUOT, "full"), True),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'a' -> 'b'")]), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (PermissionError(errno.EACCES, "no"), False),
        (ValueError("28"), False),
    ],
)
def test_a_full_disk_is_known_from_any_library_and_as_a_cause(error, is_full):
    assert is_disk_full(error) is is_full
    outer = ValueError("outer")
    outer.__cause__ = error
    assert is_disk_full(outer) is is_full


def test_a_disk_error_other_than_a_full_disk_is_raised_unchanged(tmp_path):
    with pytest.raises(PermissionError), atomic_file(tmp_path / "a.txt"):
        raise PermissionError(13, "no")


@pytest.mark.parametrize("code", [28, 122], ids=["ENOSPC", "EDQUOT"])
def test_an_injected_full_disk_at_the_flush_leaves_the_earlier_file(tmp_path, monkeypatch, code):
    write_json(tmp_path / "a.json", 1)

    def full(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("hfi_core.io.atomic.os.fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        write_json(tmp_path / "a.json", 2)
    assert (tmp_path / "a.json").read_text() == "1\n"
    assert listing(tmp_path) == {"a.json"}


def test_a_folder_s_digest_changes_with_any_name_and_any_byte(tmp_path):
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("1")
        (temporary / "b").write_text("2")
    first = sha256_of_folder(tmp_path / "out")
    (tmp_path / "out" / "a").write_text("2")
    second = sha256_of_folder(tmp_path / "out")
    (tmp_path / "out" / "a").rename(tmp_path / "out" / "c")
    assert len({first, second, sha256_of_folder(tmp_path / "out")}) == 3


def test_a_file_s_digest_is_sha256_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_json_does_not_depend_on_the_order_of_keys(value):
    turned = dict(reversed(value.items()))
    assert sha256_of_json(value) == sha256_of_json(turned)


def test_json_and_jsonl_are_canonical(tmp_path):
    for turn, row in enumerate(({"b": 1, "a": "ü"}, {"a": "ü", "b": 1})):
        write_json(tmp_path / f"{turn}.json", row)
        write_jsonl(tmp_path / f"{turn}.jsonl", [row, row])
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    assert (tmp_path / "0.jsonl").read_text() == '{"a": "ü", "b": 1}\n' * 2
    assert (tmp_path / "0.jsonl").read_bytes() == (tmp_path / "1.jsonl").read_bytes()


@pytest.mark.parametrize("write", [write_json, lambda path, value: write_jsonl(path, [value])])
def test_not_a_number_is_never_written(tmp_path, write):
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / "a", {"x": float("nan")})
    assert listing(tmp_path) == set()
