"""Shards in processes of their own, here and on Ray: the same bytes, and a kill costs one shard only."""

import json
import os
import shutil
import signal
import time
from collections import defaultdict
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.execution.job import Job, job_file, read_job
from flows.execution.parallelism import require_ray_address
from flows.execution.shards import run_shard
from flows.execution.unit import WORK
from flows.project.init import create_project
from hfi_core.errors import UserError
from hfi_core.params import load_params
from hfi_core.pipeline.graph import units_of, work_key
from tests.support.flow_fixtures import REAL_GRAPH, FakeProject
from tests.support.forking import REAL
from tests.support.projects import small_raw, write_raw
from tests.support.waiting import wait_until

GENERATE = (REAL_GRAPH, "run", "--until", "generate")
LOCAL, RAY = (), ("--ray", "local")
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None or find_spec("prefect_ray") is None,
    reason="Ray is not installed: pip install 'hfi-pipeline[ray]'",
)


@pytest.fixture
def fresh(miniature, tmp_path, fake_environment, server) -> FakeProject:
    """A project on the miniature model, with ten blocks of candidates to draw."""
    folder = tmp_path / "project"
    create_project(folder, "embedded")
    raw = small_raw(miniature)
    raw["sampler"]["steps"] = 6
    raw["candidates"]["drawn"] = {"badge": 26}
    write_raw(folder, raw)
    project = FakeProject(folder, fake_environment | {"PREFECT_API_URL": server})
    project.call(REAL_GRAPH, "params", "sync")
    return project


@pytest.fixture(scope="session")
def drawn() -> dict[str, Any]:
    """What one process leaves, once it has been asked."""
    return {}


def _by_one(project: FakeProject, drawn: dict[str, Any]) -> dict[str, Any]:
    """Bytes and lock that one process leaves in a project like this one, which is then as before."""
    if not drawn:
        project.call(*GENERATE)
        drawn |= {"outputs": project.outputs(), "lock": project.lock()}
        (project.folder / "dvc.lock").unlink()
        shutil.rmtree(project.folder / "candidates")
    return drawn


def shards_of(project: FakeProject) -> dict[int, int]:
    """The processes of a project's shards: number of the shard by process id."""
    shards = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            arguments = process.cmdline()
            if "flows.execution.shard_worker" in arguments and Path(process.cwd()) == project.folder:
                shards[process.pid] = int(arguments[-2])
    return shards


def pictures(project: FakeProject) -> list[Path]:
    return list((project.folder / WORK).glob("*/pictures/*.png"))


@pytest.mark.parametrize(
    "where", [pytest.param(LOCAL, id="local", marks=pytest.mark.soak), pytest.param(RAY, id="on Ray", marks=needs_ray)]
)
def test_a_run_in_shards_leaves_the_same_bytes_and_nothing_to_do(fresh, drawn, where):
    by_one = _by_one(fresh, drawn)
    result = fresh.call(*GENERATE, "--shards", "2", *where)
    assert fresh.outputs() == by_one["outputs"]
    assert fresh.lock() == by_one["lock"]
    assert "generate@badge: done in" in result.stdout
    assert result.stderr == ""
    assert "Nothing to do" in fresh.call(*GENERATE).stdout
    assert not list((fresh.folder / ".hfi/work").iterdir())


@pytest.mark.parametrize(
    ("where", "killed"),
    [
        pytest.param(LOCAL, "shard", id="local"),
        pytest.param(RAY, "worker of Ray, and the shard with it", id="on Ray", marks=[needs_ray, pytest.mark.soak]),
    ],
)
def test_a_kill_in_the_middle_costs_one_shard_and_ends_in_the_same_bytes(fresh, drawn, where, killed):
    by_one = _by_one(fresh, drawn)
    starts: dict[int, set[int]] = defaultdict(set)
    victim = None
    with fresh.running(*GENERATE, "--shards", "2", *where) as process:
        while process.poll() is None:
            alive = shards_of(fresh)
            for pid, shard in alive.items():
                starts[shard].add(pid)
            if victim is None and alive and pictures(fresh):
                pid, victim = next(iter(alive.items()))
                hit = psutil.Process(pid)
                (hit if killed == "shard" else hit.parent()).kill()
            time.sleep(0.1)
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert fresh.outputs() == by_one["outputs"]
    assert fresh.lock() == by_one["lock"]
    assert {shard: len(pids) for shard, pids in starts.items()} == {victim: 2, 1 - victim: 1}


@pytest.mark.soak  # the kill of a shard and Ctrl-C, which `make test` has, are its parts
def test_shards_end_with_the_run_that_ordered_them_and_the_next_one_goes_on(fresh, drawn):
    by_one = _by_one(fresh, drawn)
    with fresh.running(*GENERATE, "--shards", "2", **REAL) as process:
        wait_until(lambda: pictures(fresh))
        shards = [psutil.Process(pid) for pid in shards_of(fresh)]
        process.kill()
        assert shards
        _, alive = psutil.wait_procs(shards, timeout=60)
        assert not alive
    inodes = {path.stat().st_ino for path in pictures(fresh)}
    fresh.call(*GENERATE, "--shards", "3")
    assert inodes
    assert fresh.outputs() == by_one["outputs"]


def test_ctrl_c_ends_shards_and_run_in_order(fresh):
    with fresh.running(*GENERATE, "--shards", "2") as process:
        wait_until(lambda: pictures(fresh))
        shards = [psutil.Process(pid) for pid in shards_of(fresh)]
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate()
        assert not psutil.wait_procs(shards, timeout=60)[1]
    assert process.returncode == 130, output
    assert "Stopped. What was finished is kept" in output
    assert "Traceback" not in output


def test_a_mistake_that_a_shard_finds_is_printed_once_and_without_a_traceback(fresh):
    fresh.edit(model__digest="sha256:" + "0" * 64)
    fresh.call(REAL_GRAPH, "params", "sync")
    result = fresh.call(*GENERATE, "--shards", "2", code=2)
    assert result.stderr.count("are not the ones that params.yaml pins") == 1
    assert "Traceback" not in result.stdout + result.stderr


@pytest.fixture
def job(miniature, tmp_path, monkeypatch) -> Job:
    """A job for the candidates of a project that this process works in."""
    write_raw(tmp_path, small_raw(miniature))
    monkeypatch.chdir(tmp_path)
    params = load_params(Path("params.yaml"))
    unit = next(units_of(params))
    job = Job(unit, params, Path(".hfi/work") / f"{unit.address}-{work_key(unit, params)}")
    job.work.mkdir(parents=True)
    job.write()
    return job


def test_a_job_that_is_read_is_the_one_that_was_written(job):
    read = read_job(job.work)
    assert (read.unit.address, read.params, read.work) == (job.unit.address, job.params, job.work)


def test_a_machine_that_does_not_see_the_projects_folder_says_so(job, tmp_path):
    with pytest.raises(UserError, match=r"does not see .*nowhere.*storage that it shares"):
        run_shard(str(tmp_path / "nowhere"), str(job.work), 0, 0, 1)


def test_a_machine_with_other_versions_is_refused(job):
    content = json.loads(job_file(job.work).read_text())
    content["versions"]["torch"] = "1.0"
    job_file(job.work).write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"has torch .* instead of 1\.0, and results depend on the version"):
        read_job(job.work)


def test_a_machine_that_sees_other_inputs_is_refused(job):
    elsewhere = job.work.with_name("generate@badge-" + "0" * 16)
    job.work.rename(elsewhere)
    with pytest.raises(UserError, match="must be on storage that both share"):
        read_job(elsewhere)


def test_progress_is_that_of_all_shards_together(job):
    job.progress_reporter("a")(8, 8, "pictures")
    job.progress_reporter("b")(2, 2, "pictures")
    assert job.read_progress(["a", "b", "c"]) == (10, 10, "pictures")
    job.write()
    assert job.read_progress(["a", "b"]) == (0, 0, "")


@pytest.mark.parametrize("address", ["local", "auto", "head:6379", "ray://10.0.0.7:10001"])
def test_addresses_of_ray(address):
    require_ray_address(address)


@pytest.mark.parametrize("address", ["", "head", "http://head:6379", "head:6379/x", "head:port"])
def test_an_invalid_address_of_ray_is_refused(address):
    with pytest.raises(UserError, match="--ray .* is not a valid Ray address"):
        require_ray_address(address)
