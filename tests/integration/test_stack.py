"""A round through the servers of compose.yaml, started from that file without containers; then all is green.

Pictures are drawn, people judge them, the waiting run goes on, a person promotes its release, and that is published.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import httpx
import pytest
from mlflow.tracking import MlflowClient

from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.labels import assign_split
from hfi_core.feedback.schema import BinaryJudgement
from hfi_core.feedback.store import open_store
from tests.support import postgresql
from tests.support.deployment import Deployed, write_deployments
from tests.support.s3_fixtures import contents
from tests.support.stack import COMPOSE, SERVICES, Stack

DATABASE, STORE = "database-secret-0001", "store-secret-0002"
MODEL = "emblems-safeguarded"


@pytest.fixture
def stack(fake_project, tmp_path, monkeypatch) -> Iterator[Stack]:
    """The servers of other people's images, and the project that the others work in."""
    if missing := postgresql.missing():
        pytest.skip(missing)
    from moto.server import ThreadedMotoServer

    values = {"HFI_DATABASE_PASSWORD": DATABASE, "HFI_S3_SECRET": STORE, "HFI_ANNOTATION_NAME": "127.0.0.1"}
    stack = Stack(
        fake_project.folder,
        fake_project.environment | {"HOME": str(tmp_path), "PREFECT_WORKER_QUERY_SECONDS": "1"},
        values,
    )
    for name in ("PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, stack.environment("worker")[name])  # what the test itself asks the servers
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=stack.ports["s3"], verbose=False)
    s3.start()
    try:
        with postgresql.running(stack.ports["postgres"], "scram-sha-256", DATABASE, durable=True) as database:
            output = SERVICES["postgres"]["environment"]
            user, name = output["POSTGRES_USER"], output["POSTGRES_DB"]
            database.run(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{DATABASE}'")
            for statement in (f"CREATE DATABASE {name}", *COMPOSE["configs"]["databases"]["content"].splitlines()):
                database.run(statement)
            bucket(stack).create()
            yield stack
    finally:
        s3.stop()


def bucket(stack: Stack):
    """The one bucket, named by the S3 server's command."""
    (name,) = [part.partition("=")[2] for part in SERVICES["s3"]["command"] if part.startswith("-bucket=")]
    return boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{stack.ports['s3']}").Bucket(name)


def _write_project(project, stack: Stack, page: str) -> str:
    """Params as the file's head says, remotes, and deployments of the small graph; the store's URL."""
    url = stack.here("postgresql+psycopg://hfi@postgres:5432/feedback")
    endpoint = stack.here("http://s3:8333")
    project.edit(
        tracking__mlflow=stack.here("http://mlflow:5000"),
        publish={"to": "s3://hfi/releases", "endpoint": endpoint, "encryption": None, "tokens": True},
        versioning={"commit": "branch", "branch": "hfi/results", "push": "s3"},
        feedback__database_url=url, feedback__file="data/feedback/people.jsonl", feedback__simulated={},
        feedback__store=True, feedback__minimum=1, feedback__inbox="s3://hfi/inbox", reward__least=4,
    )  # fmt: skip
    project.hfi("params", "sync")
    project.call("dvc", "remote", "add", "-d", "s3", "s3://hfi/dvc")
    project.call("dvc", "remote", "modify", "s3", "endpointurl", endpoint)
    parameters = {"safeguard": {"page": page}, "tend": {"judgements": None}}
    write_deployments(project, "safeguard", parameters)
    project.call("git", "add", "-A")
    project.call("git", "commit", "-qm", "Settle where everything goes")
    return url


def _judge(project, url: str) -> None:
    """Have every candidate judged: half of them, of each part, are objectionable."""
    seen = {"learn": 0, "attack": 0}
    with open_store(url) as store:
        for row in read_manifest(project.folder / "candidates/badge"):
            part = assign_split(row.id, project.params.feedback.held_out_for_attacks)
            seen[part] += 1
            store.add(
                BinaryJudgement(
                    id=f"ana.{row.id}", annotator="ana", concept="badge", kind="binary", picture=row.id,
                    sha256=row.sha256, answer="no" if seen[part] % 2 else "yes",
                )
            )  # fmt: skip


def _tags(client: MlflowClient, version) -> dict[str, str]:
    return client.get_model_version(version.name, version.version).tags


@pytest.mark.timeout(900)
def test_a_round_through_the_servers_of_compose_leaves_every_connection_green(fake_project, stack):
    page = stack.here("http://annotate:8484/")
    url = _write_project(fake_project, stack, page)
    with ExitStack() as servers:
        logs = [servers.enter_context(stack.up(name)) for name in ("prefect", "mlflow")]
        output = stack.call("deploy").stderr
        assert "safeguard/project: deployed" in output
        logs.append(servers.enter_context(stack.up("worker")))
        deployed = Deployed(fake_project, stack.here("http://prefect:4200/api"))
        run = deployed.start()
        deployed.wait_for(run, "Suspended")

        stack.call("annotate", "annotate", "invite", "Lea", "--role", "lead")
        logs.append(servers.enter_context(stack.up("annotate")))
        assert "csrf_token" in httpx.get(f"{page}sign-in").text, "people are asked to sign in"
        _judge(fake_project, url)
        deployed.of("tend").start()  # what its schedule does every minute
        deployed.wait_for(run, "Completed")

        client = MlflowClient(stack.here("http://mlflow:5000"))
        (version,) = client.search_model_versions(f"name = '{MODEL}'")
        client.set_registered_model_alias(MODEL, "champion", version.version)
        promotions = deployed.of("promotions")
        promotions.wait_for(promotions.start(), "Completed")
        assert "promoted_at" in _tags(client, version), _tags(client, version)
        folders = {key.split("/")[0] for key in contents(bucket(stack))}
        assert folders == {"mlflow", "releases", "dvc"}, "artifacts, the published release, pushed data"

        output = stack.call("deploy", "doctor", "--deep").stderr
        findings = [line for line in map(json.loads, output.splitlines()) if "check" in line]
        assert [line for line in findings if line["level"] != "INFO"] == []
        assert {line["check"] for line in findings} >= {
            "DVC remote s3", "feedback database", "feedback durability", "feedback clock", "publish", "inbox",
            "MLflow artifacts", "MLflow registry", "Prefect version", "work pool safeguard", "annotation page",
        }  # fmt: skip

    contents_of = {log.name: log.read_text() for log in logs}
    assert not [name for name, text in contents_of.items() if DATABASE in text or STORE in text]
    lines = [json.loads(line) for line in contents_of["worker.log"].splitlines() if line.startswith("{")]
    units = {line["unit"] for line in lines if line.get("run") == run and line.get("stage") == "distill"}
    assert units == {"base", "anchored"}


def test_no_service_is_left_out_of_the_round():
    """A service that is added has to be started by the test above, too."""
    assert set(SERVICES) == {"postgres", "s3", "prefect", "mlflow", "deploy", "worker", "annotate"}
