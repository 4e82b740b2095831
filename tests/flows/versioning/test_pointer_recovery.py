"""A kill or a full disk while DVC writes its files in place: they are restored, and the same command goes on."""

import errno
import json
import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest
import yaml

from flows.execution.unit import find_unit
from flows.orchestration import tasks
from flows.tracking import runs
from flows.versioning import pointer_recovery, repo
from flows.versioning.pointer_recovery import Condition, condition_of, mark_write, recover_pointers
from flows.versioning.repo import commit_outputs, find_changes, open_repository, track_file
from hfi_core.errors import UserError
from tests.support.dvc_killed import cut_dumps
from tests.support.small_disk import small_disk
from tests.support.waiting import PATIENCE

FORK = multiprocessing.get_context("fork")
LOCK = Path("dvc.lock")
ONE = """schema: '2.0'
stages:
  first:
    cmd: hfi stage first
    outs:
    - path: candidates/badge
      hash: md5
      md5: 4fbb1ba4a6b2b5b4e3a1a0a0a0a0a0a0.dir
      size: 12345
      nfiles: 12
"""
TWO = (
    ONE
    + """  second:
    cmd: hfi stage second
    outs:
    - path: labels.csv
      hash: md5
      md5: 4fbb1ba4a6b2b5b4e3a1a0a0a0a0a0a0
      size: 77
"""
)
DATA = "outs:\n- md5: 4fbb1ba4a6b2b5b4e3a1a0a0a0a0a0a0\n  size: 77\n  hash: md5\n  path: judgements.jsonl\n"


@pytest.mark.parametrize(("name", "text"), [("dvc.lock", TWO), ("judgements.jsonl.dvc", DATA)])
def test_a_file_that_is_cut_anywhere_is_not_believed(tmp_path, monkeypatch, capsys, name, text):
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.write_text(text)
    mark_write(path)
    for count in range(len(text)):
        path.write_text(text[:count])
        assert condition_of(path) is Condition.CUT, text[:count]
    recover_pointers([path])
    assert path.read_text() == text and condition_of(path) is Condition.WHOLE
    assert f"{name} was cut off while DVC wrote it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("", Condition.CUT),
        ("\0\0\0\0", Condition.CUT),
        ("\n", Condition.CUT),
        (TWO[:-1], Condition.CUT),
        (TWO.replace("\n", "\r\n"), Condition.WHOLE),
        (ONE, Condition.WHOLE),
        ("schema: '2.0'\nstages: {}\n", Condition.WHOLE),
        (ONE.replace("      nfiles: 12\n", ""), Condition.WHOLE),
        (f"<<<<<<< HEAD\n{ONE}=======\n{TWO}>>>>>>> other\n", Condition.CONFLICT),
        ("stages: [\n", Condition.DAMAGED),
        ("- 1\n", Condition.DAMAGED),
        ("stages:\n  first:\n    cmd: x\n", Condition.DAMAGED),
    ],
)
def test_without_a_write_only_what_cannot_be_otherwise_is_cut(tmp_path, monkeypatch, text, condition):
    monkeypatch.chdir(tmp_path)
    LOCK.write_bytes(text.encode())
    assert condition_of(LOCK) is condition


def test_a_lock_without_a_copy_is_named_with_how_to_fix_it(inside):
    LOCK.touch()
    with pytest.raises(UserError, match=r"(?s)dvc\.lock was cut off.*no copy.*To fix this: remove dvc\.lock"):
        find_changes()
    assert "DVC files" in inside.hfi("doctor", code=1).stdout
    LOCK.write_text("schema: '2.0'\nstages: {}\n")
    inside.call("git", "add", "dvc.lock")
    inside.call("git", "commit", "-qm", "Lock")
    pointer_recovery._copy_of(LOCK).unlink(missing_ok=True)
    LOCK.write_text("")
    with pytest.raises(UserError, match="git checkout HEAD -- dvc.lock"):
        find_changes()
    inside.call("git", "checkout", "HEAD", "--", "dvc.lock")
    assert find_changes()


def test_a_conflict_of_a_merge_is_not_replaced_by_a_copy(inside):
    LOCK.write_text(ONE)
    mark_write(LOCK)
    LOCK.write_text(f"<<<<<<< HEAD\n{ONE}=======\n{TWO}>>>>>>> other\n")
    with pytest.raises(UserError, match=r"(?s)conflict markers.*git checkout --ours dvc.lock"):
        find_changes()


def test_a_lock_that_is_removed_on_purpose_stays_removed(run_by_flow, tmp_path, monkeypatch):
    project = run_by_flow.copy(tmp_path / "project")
    project.hfi("status")
    (project.folder / "dvc.lock").unlink()
    assert "out of date" in project.hfi("status").stdout
    assert not (project.folder / "dvc.lock").exists()


@pytest.mark.parametrize("text", ["", '{"write": {"a', "[]"])
def test_an_unreadable_record_of_paths_in_use_is_removed(inside, capsys, text):
    record = inside.folder / ".dvc/tmp/rwlock"
    record.parent.mkdir(exist_ok=True)
    record.write_text(text)
    assert find_changes()
    assert "rwlock was cut off" in capsys.readouterr().err
    assert not record.exists() or isinstance(json.loads(record.read_text()), dict)


@pytest.fixture
def run(inside, monkeypatch):
    """Run a unit and commit it, as the flow does."""
    monkeypatch.setattr(runs, "record_unit", lambda *_: None)
    return lambda: tasks.run_and_commit(find_unit(inside.params, "generate", "badge", 1), inside.params, None)


def _killed(function, share: float) -> None:
    def work() -> None:
        cut_dumps(share)
        function()

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _survives_kills(inside, run, shares) -> None:
    run()
    for number, share in enumerate(shares):
        inside.edit(seed=number + 10)
        before = LOCK.read_bytes()
        _killed(run, share)
        assert set(find_changes("generate@badge")) == ({"generate@badge"} if share < 1 else set())
        assert share == 1 or LOCK.read_bytes() == before
        run()
        assert not find_changes("generate@badge")


SHARES = [0, 0.3, 0.6, 0.95, 1]


def test_kills_inside_dvc_s_commit_lose_nothing(inside, run):
    _survives_kills(inside, run, SHARES)


@pytest.mark.soak
def test_twenty_kills_inside_dvc_s_commit_lose_nothing(inside, run):
    rng = random.Random(27)
    _survives_kills(inside, run, [rng.random() for _ in range(20)])


def test_a_kill_inside_the_first_commit_leaves_no_lock(inside, run):
    _killed(run, 0.5)
    assert LOCK.exists()
    assert find_changes("generate@badge")
    assert not LOCK.exists()
    run()
    assert not find_changes("generate@badge")


def test_a_kill_while_a_dvc_file_is_written_keeps_the_earlier_one(inside):
    data = Path("data/feedback/judgements.jsonl")
    data.parent.mkdir(parents=True)
    data.write_text("first\n")
    track_file(data)
    pointer = Path(f"{data}.dvc")
    before = pointer.read_bytes()
    data.write_text("second\n")
    _killed(lambda: commit_outputs(str(pointer)), 0.5)
    assert pointer.read_bytes() != before
    assert str(pointer) in find_changes()
    assert pointer.read_bytes() == before
    commit_outputs(str(pointer))
    assert str(pointer) not in find_changes()


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_full_disk_inside_the_commit_restores_the_lock_at_once(inside, run, monkeypatch, share):
    run()
    before = LOCK.read_bytes()
    inside.edit(seed=5)
    from dvc.utils.serialize import _yaml

    with monkeypatch.context() as disk:
        disk.setattr(_yaml, "_dump", _yaml._dump)
        cut_dumps(share, errno.ENOSPC)
        with pytest.raises(UserError, match="The disk is full"):
            run()
    assert LOCK.read_bytes() == before
    run()
    assert not find_changes("generate@badge")


def test_a_small_full_disk_loses_no_lock(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.chdir(disk)
        LOCK.write_text(TWO)
        with pointer_recovery.protected_write(LOCK):
            LOCK.write_text(ONE + TWO.removeprefix(ONE))
        free = disk / "filler"
        with pytest.raises(OSError), free.open("wb", buffering=0) as stream:  # noqa: PT011
            while True:
                stream.write(b"x" * 512)
        with pytest.raises(OSError), pointer_recovery.protected_write(LOCK), LOCK.open("w") as stream:  # noqa: PT011
            stream.write(TWO + "x" * 100_000)
        assert LOCK.read_text() == TWO
        monkeypatch.chdir(tmp_path)


def _repro(project, number: int, share: float) -> None:
    project.call("python", "-m", "tests.support.dvc_killed", str(number), str(share), "dvc", "repro", code=None)


def _wait_until_whole(project) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        text = (project.folder / "dvc.lock").read_text() if (project.folder / "dvc.lock").exists() else "\n"
        if text.endswith("\n") and len(list((project.folder / ".hfi/pointers").glob("*.writing"))) == 0:
            return
        time.sleep(0.05)
    raise AssertionError("nothing restored dvc.lock")


def _repro_survives_kills(project, cuts) -> None:
    for number, share in cuts:
        _repro(project, number, share)
        _wait_until_whole(project)
    project.call("dvc", "repro", FAKE_UNTRACKED="1")
    assert "up to date" in project.call("dvc", "status").stdout


def test_dvc_repro_killed_inside_its_commit_goes_on_with_the_same_command(fake_project, run_by_dvc):
    _repro_survives_kills(fake_project, [(1, 0.5), (2, 0), (2, 0.7)])
    assert fake_project.outputs() == run_by_dvc.project.outputs()
    assert fake_project.lock() == run_by_dvc.project.lock()


@pytest.mark.soak
def test_dvc_repro_killed_twenty_times_inside_its_commit_goes_on(fake_project, run_by_dvc):
    rng = random.Random(27)
    _repro_survives_kills(fake_project, [(rng.randint(1, 2), rng.random()) for _ in range(20)])
    assert fake_project.outputs() == run_by_dvc.project.outputs()


def test_the_commands_restore_an_emptied_lock_with_one_line(run_by_flow, tmp_path, quick):
    project = run_by_flow.copy(tmp_path / "project")
    lock = project.folder / "dvc.lock"
    before = yaml.safe_load(lock.read_text())
    project.hfi("status")
    for command in (("status",), ("run", "--until", "ingest"), ("doctor",), ("gc",)):
        lock.write_text("")
        done = project.hfi(*command, **quick, code=None)
        assert done.stderr.count("dvc.lock was cut off while DVC wrote it") == 1, done
        assert yaml.safe_load(lock.read_text()) == before


def test_a_repository_that_is_whole_is_checked_once(inside, monkeypatch):
    checked = []
    monkeypatch.setattr(repo.pointer_recovery, "recover_pointers", lambda paths=None: checked.append(paths))
    for _ in range(3):
        with open_repository():
            pass
    assert len(checked) <= 1
