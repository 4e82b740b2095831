"""`hfi gc`: what something points at survives, what nothing points at goes, and nothing else is touched."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import app
from flows.execution.unit import WORK, remove_checkpoints, run_unit
from flows.releases import register
from flows.tracking.client import registry_client
from flows.versioning.repo import commit_outputs, open_repository
from flows.versioning.results_branch import record_results
from hfi_core.errors import UserError
from hfi_core.io.json_files import write_jsonl
from hfi_core.pipeline.graph import WORK_KEY, units_of, work_key
from tests.support.flow_fixtures import FakeProject, clone_project, work_in

CACHE = Path(".dvc/cache/files/md5")


class Experiments:
    """A project whose whole graph is run again and again, each time with another seed."""

    def __init__(self, project: FakeProject):
        self.project = project

    @property
    def params(self):
        return self.project.params

    def run(self, seed: int) -> dict[str, bytes]:
        """Run every unit as the flow does, DVC's part included; the outputs."""
        self.project.edit(seed=seed)
        for unit in units_of(self.params):
            run_unit(unit, self.params)
            commit_outputs(unit.address)
            remove_checkpoints(unit.address)
        return self.project.outputs()

    def lock(self) -> str:
        return Path("dvc.lock").read_text()

    def back_to(self, lock: str) -> dict[str, bytes]:
        """The outputs that DVC makes of a lock, from its cache alone."""
        Path("dvc.lock").write_text(lock)
        self.project.call("dvc", "checkout", "--force")
        return self.project.outputs()

    def gc(self, *arguments: str, code: int = 0) -> str:
        output = CliRunner().invoke(app, ["gc", *arguments])
        assert output.exit_code == code, (output.output, output.exception)
        return " ".join(output.output.split())


@pytest.fixture(scope="module")
def _begun(_template, fake_environment, tmp_path_factory) -> FakeProject:
    """A project in which every unit has run once."""
    project = clone_project(_template, tmp_path_factory.mktemp("begun") / "project", fake_environment)
    with pytest.MonkeyPatch.context() as patch:
        work_in(project, patch)
        Experiments(project).run(seed=0)
    return project


@pytest.fixture
def experiments(_begun, tmp_path, monkeypatch) -> Experiments:
    """A copy, whose outputs are those of seed 0."""
    project = clone_project(_begun.folder, tmp_path / "project", _begun.environment)
    work_in(project, monkeypatch)
    project.edit(tracking__mlflow=f"sqlite:///{project.folder}/mlflow.db")
    for name in ("NAME", "EMAIL"):
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_{name}", project.environment[f"GIT_{role}_{name}"])
    project.call("git", "commit", "-qam", "Track here")
    return Experiments(project)


def cached() -> set[str]:
    """Every object in the cache."""
    return {"".join(path.parts[-2:]) for path in CACHE.rglob("*") if path.is_file()}


def _left() -> int:
    """Objects of the prefix 00: few enough to be counted over and over."""
    return sum(1 for _ in (CACHE / "00").iterdir())


def named_in(lock: str) -> set[str]:
    return {out["md5"] for stage in yaml.safe_load(lock)["stages"].values() for out in stage["outs"]}


def test_what_a_registered_version_needs_survives_and_an_abandoned_experiment_goes(experiments):
    released = experiments.project.outputs()
    registered = experiments.lock()
    version = register.register(experiments.params)
    experiments.run(seed=1)
    abandoned = experiments.lock()
    present = experiments.run(seed=2)
    lock = experiments.lock()

    before = cached()
    output = experiments.gc()
    assert f"{version.model} version 1 (candidate) keeps" in output and "--yes removes it" in output
    assert cached() == before, "without --yes nothing goes"

    assert "Removed." in experiments.gc("--yes")
    gone = before - cached()
    assert named_in(abandoned) - named_in(registered) - named_in(lock) <= gone
    assert f"{len(gone)} file(s) in DVC's cache that nothing" in output
    assert not gone & (named_in(registered) | named_in(lock))
    assert experiments.back_to(registered) == released
    assert experiments.back_to(lock) == present
    assert " 0 file(s) in DVC's cache that nothing" in experiments.gc()


def test_a_version_that_was_deleted_in_mlflow_keeps_nothing(experiments):
    registered = experiments.lock()
    model = register.register(experiments.params).model
    experiments.run(seed=1)
    experiments.gc("--yes")
    assert named_in(registered) <= cached()
    registry_client(experiments.params).delete_model_version(model, "1")
    experiments.gc("--yes")
    assert not (named_in(registered) - named_in(experiments.lock())) & cached()


def test_an_earlier_champion_is_kept_for_a_roll_back_and_named_as_one(experiments):
    released = experiments.project.outputs()
    registered = experiments.lock()
    model = register.register(experiments.params).model
    client = registry_client(experiments.params)
    client.set_model_version_tag(model, "1", "promotion.0001", "{}")
    experiments.run(seed=1)
    register.register(experiments.params)
    client.set_registered_model_alias(model, "champion", "2")
    experiments.run(seed=2)
    output = experiments.gc("--yes")
    assert f"{model} version 1 (was champion)" in output and f"{model} version 2 (candidate, champion)" in output
    assert experiments.back_to(registered) == released


def test_branches_tags_and_every_record_keep_their_data(experiments):
    git = experiments.project.call
    experiments.project.edit(versioning__commit="branch")
    git("git", "commit", "-qam", "Ask for records")
    states = []
    for seed, made in enumerate(("record", "record", "branch", "tag", "fetched")):
        outputs = experiments.run(seed)
        states.append((experiments.lock(), outputs))
        if made == "record":
            record_results(experiments.params, f"night {seed}")
        else:
            git("git", "add", "-f", "dvc.lock", "params.yaml")
            git("git", "commit", "-qm", made)
            ref = {"branch": "refs/heads/side", "tag": "refs/tags/v1", "fetched": "refs/remotes/origin/theirs"}[made]
            git("git", "update-ref", ref, "HEAD")
            git("git", "reset", "-q", "--hard", "HEAD~1")
    experiments.run(seed=9)
    output = experiments.gc("--yes")
    for keeper in ("2 record(s) of hfi/results", "branch side", "tag v1", "branch origin/theirs"):
        assert keeper in output
    for lock, outputs in states:
        assert experiments.back_to(lock) == outputs


def test_judgements_stay_whether_or_not_a_commit_names_them_and_so_does_the_store(experiments):
    file = Path("data/feedback/people.jsonl")
    file.parent.mkdir(parents=True)
    store = Path("feedback.db")
    store.write_bytes(b"the live store")
    contents = []
    for number in range(3):
        row = {"id": f"j{number}", "annotator": "ada", "concept": "badge", "kind": "binary", "picture": "p1"}
        write_jsonl(file, [row | {"sha256": "0" * 64, "answer": "yes"}])
        contents.append(file.read_bytes())
        experiments.project.call("dvc", "add", str(file))
        if number == 0:
            experiments.project.call("git", "add", "data")
            experiments.project.call("git", "commit", "-qm", "The first")
    experiments.run(seed=1)
    before = cached()
    output = experiments.gc("--yes")
    assert "judgements in any commit keeps" in output and "1 file(s) of judgements that nothing" in output
    assert cached() < before
    held = [path.read_bytes() for path in CACHE.rglob("*") if path.is_file()]
    assert all(content in held for content in contents)
    assert store.read_bytes() == b"the live store"


def test_checkpoints_of_no_unit_go_and_those_that_a_unit_goes_on_from_stay(experiments):
    unit = next(unit for unit in units_of(experiments.params) if unit.address == "distill@anchored")
    current = WORK / f"{unit.address}-{work_key(unit, experiments.params)}"
    stale = [WORK / f"{unit.address}-{'0' * WORK_KEY}", WORK / f"distill@dropped-{'0' * WORK_KEY}"]
    for folder in (current, *stale):
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(b"0" * 2048)
    output = experiments.gc()
    assert "2 folder(s) of checkpoints, 4.0 KiB" in output and all(folder.exists() for folder in stale)
    experiments.gc("--yes")
    assert current.exists() and not any(folder.exists() for folder in stale)
    shutil.rmtree("labels")  # its inputs are away, so its key is not known
    experiments.gc("--yes")
    assert current.exists()


def test_a_version_whose_data_is_not_recorded_stops_it_before_anything_goes(experiments):
    model = register.register(experiments.params).model
    experiments.run(seed=1)
    experiments.run(seed=2)
    before = cached()
    registry_client(experiments.params).delete_model_version_tag(model, "1", "hfi.lineage")
    assert isinstance(CliRunner().invoke(app, ["gc", "--yes"]).exception, UserError)
    assert cached() == before


def test_other_models_on_a_shared_server_keep_nothing_and_stop_nothing(experiments):
    register.register(experiments.params)
    registered = experiments.lock()
    client = registry_client(experiments.params)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", "s3://theirs/model", tags={"hfi.release": "0" * 64})
    assert "Other models in this registry keep nothing here: theirs." in experiments.gc("--yes")
    assert named_in(registered) <= cached()


def test_a_registry_out_of_reach_stops_it_before_anything_goes(experiments):
    experiments.run(seed=1)
    before = cached()
    experiments.project.edit(tracking__mlflow="sqlite:////dev/null/runs.db")
    done = experiments.project.hfi("gc", "--yes", code=2)
    assert "out of reach" in done.stderr
    assert cached() == before


def test_a_cache_that_others_may_share_is_left_alone(experiments, tmp_path):
    experiments.project.call("dvc", "cache", "dir", str(tmp_path / "shared"))
    output = CliRunner().invoke(app, ["gc", "--yes"])
    assert isinstance(output.exception, UserError) and "Other projects may share it" in str(output.exception)


def test_killed_in_the_middle_it_loses_nothing_needed_and_the_next_one_finishes(experiments):
    released = experiments.project.outputs()
    registered = experiments.lock()
    register.register(experiments.params)
    present = experiments.run(seed=1)
    lock = experiments.lock()
    with open_repository() as repo:
        odb = repo.cache.local
        for number in range(20_000):
            path = Path(odb.oid_to_path(f"{number:032x}"))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"garbage")
    full = _left()
    with experiments.project.running("hfi", "gc", "--yes") as process:
        until = time.monotonic() + 120
        while _left() == full and time.monotonic() < until and process.poll() is None:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert 0 < _left() < full, "it was to be killed in the middle"
    assert experiments.back_to(registered) == released
    assert experiments.back_to(lock) == present
    experiments.gc("--yes")
    assert not [name for name in cached() if name.startswith("0" * 20)]
    assert experiments.back_to(registered) == released
    assert experiments.back_to(lock) == present
