"""A long stage that is killed at any moment ends in the same bytes when it is run again."""

import random
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.loop import Sign, bytes_below, run_through, units
from tests.support.projects import Project, write_project
from tests.support.unit_process import Running

LONG = ("generate@badge", "invert@badge", "distill@anchored", "attack@anchored", "evaluate@anchored")


@dataclass(frozen=True)
class Finished:
    """A project whose loop has run once, and every sign of progress of that by address."""

    project: Project
    signs: dict[str, list[Sign]]


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory) -> Finished:
    """A small project; steps enough for a checkpoint inside each fit."""
    project = write_project(tmp_path_factory.mktemp("killed") / "project", miniature)
    project.edit(
        invert__steps=60, invert__batch=2, attacks__reinverted__steps=60, attacks__reinverted__batch=2,
        removals__anchored__steps=22,
        removals__anchored__batch=1, removals__anchored__reuse=20, removals__anchored__reinvert_steps=55,
    )  # fmt: skip
    project.keep("base", "anchored")
    return Finished(project, run_through(project, until="evaluate"))


def _killed_at(running: Running, moment: int, last: Sign) -> tuple[Sign | None, bool]:
    """Kill -9 at the n-th sign of progress, or at the last one; the first sign, and whether it died of that."""
    first = sign = running.next_sign()
    for _ in range(moment - 1):
        if sign is None or (sign[0] == sign[1] and sign[2] == last[2]):  # all that is left is to write the outputs
            break
        sign = running.next_sign()
    running.kill()
    code = running.wait()
    assert code in (0, -signal.SIGKILL)
    return first, code != 0


def _survives(finished: Finished, tmp_path: Path, address: str, moments: Iterable[int]) -> None:
    project, signs = Project(tmp_path / "project"), finished.signs[address]
    shutil.copytree(finished.project.folder, project.folder)
    unit = next(u for u in units(project) if u.address == address)
    outputs = list(unit.outputs.values())
    whole = _named(project, outputs)
    began_later, killed = 0, False
    for moment in moments:
        for path in outputs:
            shutil.rmtree(path, ignore_errors=True)  # there again where a run came to its end before its kill
        first, died = _killed_at(Running(project.folder, address), moment, signs[-1])
        began_later += killed and first != signs[0]
        killed = died
        assert not died or _named(project, outputs) in ({}, whole), "a killed stage left a part of an output"
    running = Running(project.folder, address)
    began_later += killed and running.next_sign() != signs[0]
    assert running.wait() == 0
    assert _named(project, outputs) == whole
    assert began_later, "no run went on from a checkpoint"


def _named(project: Project, outputs: list[Path]) -> dict[str, str]:
    return bytes_below(*outputs, named_from=project.folder)


@pytest.mark.parametrize("address", LONG)
def test_a_killed_stage_goes_on_to_the_same_bytes(finished, tmp_path, address):
    rng, count = random.Random(address), len(finished.signs[address])
    late = rng.randint(count - count // 10, count)  # past the checkpoint of each fit
    _survives(finished, tmp_path, address, [late, rng.randint(1, count)])


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("address", LONG)
def test_a_stage_killed_twenty_times_goes_on_to_the_same_bytes(finished, tmp_path, address):
    rng, count = random.Random(address), len(finished.signs[address])
    _survives(finished, tmp_path, address, [rng.randint(1, count) for _ in range(20)])
