"""A real S3 server, a bucket of each test's own, and a proxy that breaks things on the way."""

import logging

import boto3
import pytest
import yaml

from flows import storage
from tests.projects import Project, default_raw
from tests.storage.faulty_proxy import proxy_before

SILENCE = 0.6
"""Seconds after which tests give up on a silent server."""


@pytest.fixture(scope="session")
def s3_port():
    """The port of an S3 server that the tests started."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    """Credentials from the environment, and none of this machine's own."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "tests"), ("AWS_SECRET_ACCESS_KEY", "tests"), ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", str(tmp_path / "none")), ("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none")),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(s3_port, credentials, monkeypatch):
    """The proxy that stands before the server."""
    monkeypatch.setattr(storage, "READ_SECONDS", SILENCE)
    # The pauses between tries are the library's; here they would only be waited for.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.02)
    with proxy_before(s3_port, stall_seconds=3 * SILENCE) as proxy:
        yield proxy


@pytest.fixture
def bucket(s3_port, credentials, request):
    """A bucket as it is behind the proxy, of boto3's resource kind."""
    name = f"hfi-{abs(hash(request.node.nodeid))}"
    s3 = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{s3_port}", region_name="us-east-1")
    return s3.create_bucket(Bucket=name)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project of nothing but params, in which this process works."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(default_raw(), sort_keys=False))
    monkeypatch.chdir(folder)
    return Project(folder)


def contents(bucket) -> dict[str, bytes]:
    """Every object in a bucket."""
    return {found.key: found.get()["Body"].read() for found in bucket.objects.all()}
