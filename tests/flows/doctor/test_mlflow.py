"""MLflow: up, down and wrong; the probe run is deleted again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from flows.doctor import mlflow as tracking_server
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support.servers import free_port, mlflow_server

ALL = {"MLflow", "MLflow version", "MLflow runs", "MLflow artifacts", "MLflow registry"}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory, forked) -> Iterator[str]:
    """A server whose artifacts can be written."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), forked) as address:
        yield address


@contextmanager
def forbidding() -> Iterator[str]:
    """A server that says its version to anybody, and lets nobody record."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/version"
            body = version("mlflow") if known else '{"error_code": "PERMISSION_DENIED", "message": "Not you."}'
            self.send_response(200 if known else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_records_passes_and_shows_no_probe(mlflow, params_with):
    address = mlflow.replace("://", "://ana:secret@")
    found = by_name(tracking_server.check(params_with(tracking__mlflow=address)))
    assert found.keys() == ALL and all(finding.ok for finding in found.values()), found
    assert "secret" not in str(found) and f"{mlflow.replace('://', '://ana:***@')} answers" in found["MLflow"].message
    client = MlflowClient(mlflow)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert client.search_runs(experiments) == []
    (gone,) = client.search_runs(experiments, run_view_type=ViewType.DELETED_ONLY)
    assert gone.data.tags["hfi.doctor"] == "probe" and gone.info.status == "FINISHED"


def test_another_minor_version_is_noted(mlflow, params_with, monkeypatch):
    monkeypatch.setattr(tracking_server, "version", lambda _: "2.0.0")
    marks = verdicts(tracking_server.check(params_with(tracking__mlflow=mlflow)))
    assert [name for name, mark in marks.items() if mark != "ok"] == ["MLflow version"]
    assert marks["MLflow version"] == "note"


def test_one_that_is_down_or_none_of_mlflow_s_fails(params_with, s3_port):
    for port in (free_port(), s3_port):
        (found,) = by_name(tracking_server.check(params_with(tracking__mlflow=f"http://127.0.0.1:{port}"))).values()
        assert found.mark == "FAILED" and "MLFLOW_TRACKING_USERNAME" in found.remedy


def test_one_that_lets_us_record_nothing_fails(params_with):
    with forbidding() as address:
        found = by_name(tracking_server.check(params_with(tracking__mlflow=address)))
    assert found["MLflow version"].ok and found["MLflow"].mark == "FAILED"
    assert "PERMISSION_DENIED" in found["MLflow"].message


def test_one_that_cannot_keep_artifacts_fails_in_that_alone(params_with, tmp_path, forked):
    (tmp_path / "file").touch()
    with mlflow_server(tmp_path / "mlflow", forked, f"--artifacts-destination={tmp_path}/file/below") as address:
        marks = verdicts(tracking_server.check(params_with(tracking__mlflow=address)))
    assert marks == dict.fromkeys(ALL, "ok") | {"MLflow artifacts": "FAILED"}


def test_a_file_that_is_missing_is_not_made(inside, params_with):
    (inside.folder / "mlflow.db").unlink()
    assert verdicts(tracking_server.check(params_with())) == {"MLflow": "ok"}
    assert not (inside.folder / "mlflow.db").exists()


def test_a_file_that_is_not_a_database_fails(inside, params_with):
    (inside.folder / "mlflow.db").write_text("not a database " * 200)
    assert verdicts(tracking_server.check(params_with())) == {"MLflow": "FAILED"}
