"""DVC on a disk that takes nothing more: one message, and a stage that is still out of date."""

import errno
import os
import shutil

import pytest
from dvc.dvcfile import ProjectFile

from flows.execution.unit import find_unit
from flows.orchestration import tasks
from flows.tracking import runs
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
    return lambda: tasks.run_and_keep(find_unit(inside.params, "generate", "badge", 1), inside.params, None)


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


def test_a_cache_that_cannot_be_written_to_is_no_success_either(run, monkeypatch):
    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copyfile", _refuse(errno.EACCES))
        with pytest.raises(UserError, match="cannot keep the outputs of generate@badge in its cache: .*Permission"):
            run()
    assert find_changes("generate@badge")
