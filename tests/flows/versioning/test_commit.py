"""DVC on a disk that takes nothing more: one message, and a stage that is still out of date."""

import errno
import json
import os
import shutil
from threading import Timer

import pytest
import zc.lockfile
from dvc.dvcfile import ProjectFile

from flows.execution import cost
from flows.execution.unit import checkpoints, find_unit
from flows.orchestration import tasks
from flows.runtime.lock import _lock, project_lock
from flows.tracking import runs
from flows.versioning import repo
from flows.versioning.repo import find_changes
from hfi_core.errors import UserError


def _refuse(code: int):
    def refuse(*arguments, **_):
        name = str(arguments[1]) if isinstance(arguments[1], str) else "dvc.lock"
        raise OSError(code, os.strerror(code), name)

    return refuse


@pytest.fixture
def run(inside, monkeypatch):
    """Run a unit and keep it, as the flow does."""
    monkeypatch.setattr(runs, "record_unit", lambda *_: None)
    return lambda: tasks.run_and_commit(find_unit(inside.params, "generate", "badge", 1), inside.params, None)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT], ids=["ENOSPC", "EDQUOT"])
@pytest.mark.parametrize(
    ("owner", "name", "named"),
    [(shutil, "copyfile", r"no room for .*\.dvc/cache"), (ProjectFile, "dump_stages", "no room for dvc.lock")],
    ids=["cache", "lock"],
)
def test_a_full_disk_is_named_and_the_unit_is_done_again(run, monkeypatch, caplog, owner, name, named, code):
    with monkeypatch.context() as disk:
        disk.setattr(owner, name, _refuse(code))
        with pytest.raises(UserError, match=f"The disk is full: DVC has {named}.*free space"):
            run()
    assert not caplog.records, "DVC's line for each file says nothing more"
    assert find_changes("generate@badge")
    run()
    assert not find_changes("generate@badge")


def test_a_cache_that_cannot_be_written_to_fails_too(run, monkeypatch):
    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copyfile", _refuse(errno.EACCES))
        with pytest.raises(UserError, match="cannot keep the outputs of generate@badge in its cache: .*Permission"):
            run()
    assert find_changes("generate@badge")


def test_what_a_failed_commit_left_is_committed_without_a_step_more(run, inside, monkeypatch):
    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copyfile", _refuse(errno.ENOSPC))
        with pytest.raises(UserError, match="The disk is full"):
            run()
    assert inside.ran() == ["generate@badge"]
    assert checkpoints("generate@badge")
    inside.forget()
    run()
    assert inside.ran() == [] and not checkpoints("generate@badge")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), UserError("the disk is full"), PermissionError(13)])
def test_a_record_of_costs_that_cannot_be_written_loses_no_unit(run, monkeypatch, capsys, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(cost, "write_json", refuse)
    run()
    assert not find_changes("generate@badge")
    assert "cost of generate@badge could not be recorded" in capsys.readouterr().err


def test_a_run_waits_for_dvc_s_lock_with_one_line(run, inside, capsys):
    (inside.folder / ".dvc/tmp").mkdir(exist_ok=True)
    lock = zc.lockfile.LockFile(str(inside.folder / ".dvc/tmp/lock"))
    Timer(6, lock.close).start()
    run()
    assert not find_changes("generate@badge")
    assert capsys.readouterr().err.count("Another DVC process is running") == 1


def test_a_run_waits_for_the_paths_that_another_process_uses_and_releases_the_project_s_lock(run, inside, monkeypatch):
    record = inside.folder / ".dvc/tmp/rwlock"
    record.parent.mkdir(exist_ok=True)
    busy = {"write": {str(inside.folder / "candidates/badge"): {"pid": os.getppid(), "cmd": "dvc repro"}}}
    record.write_text(json.dumps(busy))
    locked = []

    def release(_):
        locked.append(_lock().is_locked)
        record.write_text("{}")

    monkeypatch.setattr(repo.time, "sleep", release)
    with project_lock():
        run()
        assert _lock().is_locked
    assert locked == [False] and not find_changes("generate@badge")


def test_a_wait_for_dvc_is_bounded_and_keeps_the_checkpoints(run, inside, monkeypatch):
    busy = {"write": {str(inside.folder / "candidates/badge"): {"pid": os.getppid(), "cmd": "dvc repro"}}}
    (inside.folder / ".dvc/tmp").mkdir(exist_ok=True)
    (inside.folder / ".dvc/tmp/rwlock").write_text(json.dumps(busy))
    monkeypatch.setattr(repo, "MAX_WAIT_SECONDS", 0.0)
    with pytest.raises(UserError, match=r"(?s)Another DVC process is running.*dvc repro"):
        run()
    assert checkpoints("generate@badge")
