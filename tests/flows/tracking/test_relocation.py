"""A project that is moved or copied says so, and does not write into its old folder."""

import shutil
from pathlib import Path

import pytest

from flows.doctor import mlflow as doctor
from flows.tracking.client import registry_client
from flows.tracking.relocation import find_old_folder, relocate
from hfi_core.errors import UserError
from tests.support.flow_fixtures import FakeProject, working_in
from tests.support.promoted import forget_engines


def _relocated(run_by_flow, tmp_path, kind: str) -> tuple[FakeProject, FakeProject]:
    """The project before and after; a moved one is gone from its old folder."""
    first = run_by_flow.copy(tmp_path / "first")
    second = FakeProject(tmp_path / "second", first.environment)
    if kind == "moved":
        first.folder.rename(second.folder)
    else:
        shutil.copytree(first.folder, second.folder)
    return first, second


@pytest.mark.parametrize("kind", ["moved", "copied"])
def test_a_project_in_a_new_folder_writes_nothing_into_the_old_one(run_by_flow, tmp_path, kind):
    first, second = _relocated(run_by_flow, tmp_path, kind)
    before = sorted(path for path in first.folder.rglob("*")) if kind == "copied" else []
    second.edit(reward__steps=7)
    done = second.hfi("run", code=2)
    assert f"moved or copied from {first.folder}" in done.stderr
    assert "To fix this: `hfi doctor --relocate`" in done.stderr
    assert f"addresses pointed from {first.folder} to this folder" in second.hfi("doctor", "--relocate").stdout
    assert "registered as emblems-safeguarded version" in second.hfi("run").stdout
    assert first.folder.exists() == (kind == "copied")
    assert sorted(path for path in first.folder.rglob("*")) == before
    assert second.hfi("gc").returncode == 0
    assert "nothing changed" in second.hfi("doctor", "--relocate").stdout


def test_the_doctor_and_the_registry_name_the_old_folder(run_by_flow, tmp_path):
    first, second = _relocated(run_by_flow, tmp_path, "moved")
    with working_in(second.folder):
        (finding,) = doctor.check(second.params)
        assert not finding.ok and str(first.folder) in finding.message and "--relocate" in finding.remedy
        with pytest.raises(UserError, match="moved or copied"):
            registry_client(second.params)
        assert relocate(second.params) > 3
        forget_engines()
        client, name = registry_client(second.params), second.params.release.model
        (version,) = client.search_model_versions(f"name = '{name}'")
        assert str(second.folder) in version.source
        assert list(Path(client.download_artifacts(version.run_id, "", str(tmp_path))).iterdir())
    assert not first.folder.exists()


@pytest.mark.parametrize("address", ["/mnt/shared/mlruns", "file:///mnt/shared/mlruns"])
def test_artifacts_that_somebody_wants_elsewhere_are_left_alone(inside, monkeypatch, tmp_path, address):
    from mlflow.tracking import MlflowClient

    shared = tmp_path / "shared"
    shared.mkdir()
    location = f"{address.replace('/mnt/shared', str(shared))}/1"
    inside.edit(tracking__experiment="elsewhere")
    MlflowClient(f"sqlite:///{inside.folder}/mlflow.db").create_experiment(inside.params.tracking.experiment, location)
    assert find_old_folder(inside.params) is None and relocate(inside.params) == 0
    (shared / "params.yaml").touch()
    assert find_old_folder(inside.params) == shared
