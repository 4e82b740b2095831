"""MLflow's webhook starts the pass that settles promotions; what is forged, stale or about something else does not."""

import json
import time

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.webhooks.delivery import _generate_hmac_signature

from flows.serving.promotion_webhook import EVENT, app, is_signed
from tests.support.deployment import Deployed, deploy, wait_until, withdraw
from tests.support.servers import free_port, mlflow_server

SECRET = "correct horse battery staple"
MODEL = "emblems-safeguarded"


class Sender:
    """Sends what MLflow would send, or something close to it."""

    def __init__(self):
        self.started: list[str] = []
        self._client = TestClient(app(MODEL, "champion", SECRET, self.started.append))

    def send(self, body: bytes | None = None, secret: str = SECRET, age: int = 0, signature: str | None = None, **data):
        content = {"name": MODEL, "alias": "champion", "version": "1"} | data
        body = json.dumps({"data": content}).encode() if body is None else body
        timestamp = str(int(time.time()) - age)
        signed = _generate_hmac_signature(secret, "delivery", timestamp, body.decode("latin-1"))
        headers = {
            "X-MLflow-Delivery-Id": "delivery", "X-MLflow-Timestamp": timestamp,
            "X-MLflow-Signature": signed if signature is None else signature,
        }  # fmt: skip
        return self._client.post("/", content=body, headers=headers).status_code


def test_what_mlflow_has_signed_starts_the_pass_once_for_one_delivery():
    sender = Sender()
    assert sender.send() == 202
    assert sender.started == ["delivery"]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"secret": "another secret, long enough"}, 401),
        ({"age": 400}, 401),
        ({"age": -400}, 401),
        ({"signature": ""}, 401),
        ({"signature": "v1,not base64"}, 401),
        ({"signature": "v2,AAAA"}, 401),
        ({"body": b"x" * 100_000}, 413),
        ({"body": b"not json"}, 204),
        ({"body": b"[1]"}, 204),
        ({"alias": "candidate"}, 204),
        ({"name": "another model"}, 204),
    ],
)
def test_anything_else_starts_nothing(how, status):
    sender = Sender()
    assert sender.send(**how) == status
    assert sender.started == []


@given(st.text(), st.text(), st.binary(), st.text())
def test_no_text_passes_for_a_signature(delivery, timestamp, body, signature):
    assert not is_signed(SECRET, delivery, timestamp, body, signature)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


def test_a_promotion_on_a_real_server_is_heard_of_and_the_deployment_is_started(fake_project, server, quick, tmp_path):
    project, deployed = fake_project, Deployed(fake_project, server, "promotions/project")
    deploy(project, "unattended", quick, {})
    hook = free_port()
    settings = {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }  # fmt: skip
    with (
        mlflow_server(tmp_path / "mlflow", project.environment | settings) as mlflow,
        project.running("hfi", "listen", "promotions/project", "--port", str(hook), HFI_WEBHOOK_SECRET=SECRET, **quick),
    ):
        wait_until(lambda: _answers(f"http://127.0.0.1:{hook}/"), "the listener answers")
        client = MlflowClient(mlflow, mlflow)
        client.create_registered_model(MODEL)
        version = client.create_model_version(MODEL, "s3://bucket/source").version
        client.create_webhook("promotions", f"http://127.0.0.1:{hook}/", [EVENT], secret=SECRET)
        client.set_registered_model_alias(MODEL, "champion", version)

        def started() -> list[dict]:
            found = deployed.ask("GET", f"deployments/name/{deployed.name}")
            return deployed.ask("POST", "flow_runs/filter", flow_runs={"deployment_id": {"any_": [found["id"]]}})

        wait_until(started, "the deployment is started")
        (run,) = started()
        assert "webhook" in run["tags"]
    withdraw(quick)


def test_it_listens_only_with_a_secret_a_server_and_the_deployment(fake_project, quick):
    told = fake_project.hfi("listen", "promotions/project", code=2, **quick)
    assert "HFI_WEBHOOK_SECRET" in told.stderr
    told = fake_project.hfi("listen", "promotions/nobody", code=2, HFI_WEBHOOK_SECRET=SECRET, **quick)
    assert "no deployment 'promotions/nobody'" in told.stderr
