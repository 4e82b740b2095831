"""What was acknowledged is there exactly once, wherever the writer is killed."""

import random
import subprocess
import sys
import time
from collections import Counter

import pytest

from hfi_core.feedback.store import open_store
from tests.support.projects import REPOSITORY
from tests.support.stored_judgements import ids

_WRITER = """
import itertools, sys
from hfi_core.feedback.store import open_store
from tests.support.stored_judgements import binary
url, prefix = sys.argv[1:]
with open_store(url) as store:
    print("ready", flush=True)
    for n in itertools.count():
        store.add(binary(f"{prefix}-{n:06d}", prefix, f"p{n}"))
        print(f"{prefix}-{n:06d}", flush=True)
"""


def kill_writers(url: str, rounds: int) -> None:
    acknowledged: list[str] = []
    chance = random.Random(7)
    for turn in range(rounds):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _WRITER, url, f"w{turn}.{n}"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
            )
            for n in range(2)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        first = [process.stdout.readline() for process in processes]  # however slow the machine is
        time.sleep(chance.uniform(0.1, 0.6))
        for process in processes:
            process.kill()
        for process, line in zip(processes, first, strict=True):
            with process:
                output = line + process.stdout.read()  # communicate() would lose what readline() has read ahead
            acknowledged += output[: output.rfind("\n") + 1].splitlines()
    with open_store(url) as store:
        counted = Counter(ids(store.read_judgements()))
    assert len(acknowledged) > rounds, "too little was written to say anything"
    assert {id for id in acknowledged if counted[id] != 1} == set()
    assert set(counted.values()) == {1}
    # Beside what was acknowledged there is at most the one judgement that each writer was at.
    assert len(counted) - len(acknowledged) <= 2 * rounds


@pytest.mark.integration
def test_writers_that_are_killed_lose_nothing_that_they_acknowledged(url):
    kill_writers(url, rounds=2)


@pytest.mark.soak
def test_writers_that_are_killed_often_lose_nothing_that_they_acknowledged(url):
    kill_writers(url, rounds=50)


def test_sqlite_is_set_to_keep_what_it_commits(tmp_path):
    from hfi_core.feedback.store.database import Database

    database = Database(f"sqlite:///{tmp_path}/f.db")
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    database.close()
