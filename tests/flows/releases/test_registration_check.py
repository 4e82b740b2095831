"""`hfi status` claims no registration that MLflow no longer has, and says what to do."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from flows.releases import registration_check
from flows.releases.register import register
from flows.releases.registration_check import describe_registration
from flows.tracking.client import registry_client
from tests.support.promoted import MODEL
from tests.support.servers import mlflow_server

REGISTERED = "All is up to date and registered."
NAME = f"{MODEL} version 3"


def _describe(registry) -> str:
    return describe_registration(registry.params)


@pytest.mark.parametrize("deleted", ["registered_model", "model_version"])
def test_what_was_deleted_is_not_called_registered_until_it_is_registered_again(registry, deleted):
    assert _describe(registry) == REGISTERED
    identity = (MODEL,) if deleted == "registered_model" else (MODEL, "3")
    getattr(registry.client, f"delete_{deleted}")(*identity)
    told = _describe(registry)
    assert told.startswith(f"All is up to date, but MLflow no longer has {NAME}") and "`hfi register`" in told
    register(registry.params)
    assert _describe(registry) == REGISTERED


def test_status_says_what_was_deleted_and_register_brings_it_back(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    assert REGISTERED in project.hfi("status").stdout
    store = f"sqlite:///{project.folder}/mlflow.db"
    MlflowClient(store, store).delete_registered_model(MODEL)
    told = project.hfi("status").stdout
    assert f"MLflow no longer has {MODEL} version 1" in told and REGISTERED not in told
    project.hfi("register")
    assert REGISTERED in project.hfi("status").stdout


def test_a_database_that_is_gone_is_not_made_anew(registry):
    database = Path("mlflow.db")
    content = database.read_bytes()
    database.unlink()
    assert f"no longer has {NAME}" in _describe(registry)
    assert not database.exists()
    database.write_bytes(content)


def test_another_release_under_the_same_number_is_not_taken_for_the_registered_one(registry):
    registry.client.set_model_version_tag(MODEL, "3", "hfi.release", "of another release")
    assert "no longer has" in _describe(registry)


@pytest.mark.parametrize("deleted", ["run", "experiment"])
def test_a_deleted_run_or_experiment_is_told_with_the_command_that_restores_it(registry, deleted):
    client, project = registry.client, registry.project
    run = client.get_run(client.get_model_version(MODEL, "3").run_id).info
    identifier = run.run_id if deleted == "run" else run.experiment_id
    getattr(client, f"delete_{deleted}")(identifier)
    told = _describe(registry)
    assert f"registered as {NAME}, but its {deleted}" in told
    command = told.rpartition("by `")[2].rstrip("`.")
    project.call(*command.split(), MLFLOW_TRACKING_URI=registry.params.tracking.mlflow)
    assert _describe(registry) == REGISTERED


def test_a_run_that_mlflow_has_removed_for_good_is_told(registry):
    run = registry.client.get_model_version(MODEL, "3").run_id
    with closing(sqlite3.connect("mlflow.db")) as database, database:
        database.execute("DELETE FROM runs WHERE run_uuid = ?", (run,))
    told = _describe(registry)
    assert f"MLflow no longer has its run {run}" in told and "delete the version in MLflow" in told


def test_a_server_is_asked_and_one_out_of_reach_is_named(registry, fake_environment, tmp_path, monkeypatch):
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(Path("mlflow.db").read_bytes())
    with mlflow_server(folder, fake_environment) as address:
        registry.project.edit(tracking__mlflow=address)
        register(registry.params)
        assert _describe(registry) == REGISTERED
        client = registry_client(registry.params)
        run = client.get_model_version(MODEL, "3").run_id
        client.delete_run(run)
        assert f"`mlflow runs restore --run-id {run}`" in _describe(registry)
        client.delete_model_version(MODEL, "3")
        assert f"MLflow no longer has {NAME}" in _describe(registry)
    told = _describe(registry)
    unknown = f"was registered as {NAME}. Whether MLflow still has it could not be checked at"
    assert f"{unknown} {address}: " in told and "Connection refused" in told

    monkeypatch.setattr(registration_check, "_MAX_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry.project.edit(tracking__mlflow=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert unknown in _describe(registry)


def test_a_database_that_cannot_be_read_is_named(registry):
    Path("mlflow.db").write_text("no database")
    assert "could not be checked" in _describe(registry)
    assert "file is not a database" in _describe(registry)
