"""A real S3 server, a bucket of each test's own, and a proxy that breaks things on the way."""

import boto3
import pytest

from flows.storage import s3 as storage
from tests.support.faulty_proxy import proxy_before
from tests.support.projects import Project, default_raw, write_raw
from tests.support.s3 import OTHERS, credentials_in, s3_server

SILENCE = 0.6
"""Seconds after which tests give up on a silent server."""


@pytest.fixture(scope="session")
def s3_port():
    """The port of an S3 server that the tests started."""
    with s3_server() as port:
        yield port


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    """Credentials from the environment, and none of this machine's own."""
    for name, value in credentials_in(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in OTHERS:
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
def bare_project(tmp_path, monkeypatch) -> Project:
    """A project of nothing but params, in which this process works."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_raw(folder, default_raw())
    monkeypatch.chdir(folder)
    return Project(folder)


def contents(bucket) -> dict[str, bytes]:
    """Every object in a bucket."""
    return {found.key: found.get()["Body"].read() for found in bucket.objects.all()}
