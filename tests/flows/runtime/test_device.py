"""A machine says in `HFI_DEVICE` what it computes on; the project's params, and what DVC knows of them, stay."""

import json

import pytest
import torch
from mlflow.tracking import MlflowClient

from flows.execution.unit import find_unit, run_unit
from flows.runtime.device import with_local_device
from hfi_core.errors import UserError
from hfi_core.pipeline.graph import STAGES
from tests.support.projects import default_raw


@pytest.fixture
def without_cuda(monkeypatch):
    """No GPU, also on a machine that has some."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


def _drawn(project):
    return run_unit(
        find_unit(
            project.params, "generate", "badge", next(stage.revision for stage in STAGES if stage.name == "generate")
        ),
        project.params,
    )


@pytest.fixture
def on_cuda(project, monkeypatch):
    """A project of the miniature model that asks for a GPU, as the current folder."""
    project.edit(compute__device="cuda")
    monkeypatch.chdir(project.folder)
    return project


@pytest.mark.usefixtures("without_cuda")
def test_a_machine_without_the_project_s_device_computes_on_its_own(on_cuda, monkeypatch):
    with pytest.raises(UserError, match=r"'cuda' \(compute.device in params.yaml, or HFI_DEVICE\).* 0 devices"):
        _drawn(on_cuda)
    monkeypatch.setenv("HFI_DEVICE", "cpu")
    assert _drawn(on_cuda).device == "cpu"
    assert (on_cuda.folder / "candidates/badge/manifest.jsonl").exists()


@pytest.mark.usefixtures("without_cuda")
def test_a_device_that_is_not_there_is_named(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("HFI_DEVICE", "cuda")
    with pytest.raises(UserError, match="CUDA shows 0 devices"):
        _drawn(project)


def test_an_unknown_device_is_refused(project, monkeypatch):
    monkeypatch.setenv("HFI_DEVICE", "gpu")
    with pytest.raises(UserError, match="HFI_DEVICE=gpu is not a device: set it to cpu, cuda"):
        with_local_device(project.params)


def test_the_lock_holds_the_project_s_device_and_the_records_hold_the_machine_s(fake_project, quick):
    project = fake_project
    project.edit(compute__device="cuda")
    project.hfi("run", "--until", "generate", HFI_DEVICE="cpu", PREFECT_API_URL=quick["PREFECT_API_URL"])
    locked = project.lock()["stages"]["generate@badge"]["params"]["params.yaml"]
    assert locked["compute"] == default_raw()["compute"] | {"device": "cuda"}
    (row,) = json.loads((project.folder / "reports/cost.json").read_text())["runs"]
    assert row["device"] == "cpu"
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("emblems").experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'generate@badge'")
    assert run.data.tags["hfi.device"] == "cpu" and run.data.params["compute.device"] == "cuda"
    assert "Nothing to do" in project.hfi("run", "--until", "generate").stdout
    assert "cpu (HFI_DEVICE; compute.device is cuda)" in project.hfi("doctor", code=None, HFI_DEVICE="cpu").stdout
