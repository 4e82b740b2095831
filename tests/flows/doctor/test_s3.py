"""The bucket of releases and the inbox: up, down and wrong; no probe stays, and none is taken for an export."""

import os

import pytest
from botocore.awsrequest import AWSResponse

from flows.doctor import s3
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support.faulty_proxy import proxy_before
from tests.support.s3_fixtures import contents
from tests.support.servers import free_port

REFUSED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>"


def places(params_with, name: str, port: int):
    return params_with(
        publish={
            "to": f"s3://{name}/models", "endpoint": f"http://127.0.0.1:{port}", "encryption": None, "tokens": True
        },
        feedback__inbox=f"s3://{name}/inbox", feedback__store=True, feedback__simulated={},
        feedback__file="data/feedback/people.jsonl",
    )  # fmt: skip


@pytest.fixture
def changed_client(monkeypatch):
    """Give every client of the check a handler of requests."""
    make_client = s3.make_client

    def install(event: str, handler) -> None:
        def make_changed_client(*arguments, **options):
            client = make_client(*arguments, **options)
            client.meta.events.register(event, handler)
            return client

        monkeypatch.setattr(s3, "make_client", make_changed_client)

    return install


def test_a_bucket_that_is_ours_passes_and_keeps_nothing(params_with, bucket, s3_port):
    bucket.put_object(Key="inbox/labels.csv", Body=b"x")
    with proxy_before(s3_port, stall_seconds=1) as proxy:
        port = int(proxy.endpoint.rpartition(":")[2])
        marks = verdicts(s3.check(places(params_with, bucket.name, port)))
    assert marks == {"publish": "ok", "publish conditions": "ok", "inbox": "ok"}
    assert contents(bucket) == {"inbox/labels.csv": b"x"}
    puts = [line.split()[1].split("?")[0] for line in proxy.seen if line.startswith("PUT")]
    below = (f"/{bucket.name}/models/hfi-doctor/", f"/{bucket.name}/inbox/taken/hfi-doctor/")
    assert len(puts) == 3 and all(path.startswith(below) for path in puts)


@pytest.mark.parametrize("state", ["down", "wrong", "busy"])
def test_one_that_is_not_there_fails(params_with, bucket, s3_port, state, monkeypatch):
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.02)
    with proxy_before(s3_port, stall_seconds=1) as proxy:
        port = free_port() if state == "down" else int(proxy.endpoint.rpartition(":")[2])
        if state == "busy":
            proxy.breaks("busy", "HEAD", times=99)
        name = "no-such-bucket" if state == "wrong" else bucket.name
        found = by_name(s3.check(places(params_with, name, port)))
    assert {name: finding.mark for name, finding in found.items()} == {"publish": "FAILED", "inbox": "FAILED"}
    message = {"down": "out of reach after 2 attempts", "wrong": "there is no such bucket", "busy": "503"}[state]
    assert all(message in finding.message for finding in found.values()), found


def test_without_credentials_it_says_where_they_come_from(params_with, bucket, s3_port, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    found = by_name(s3.check(places(params_with, bucket.name, s3_port)))
    assert all("there are no credentials" in finding.message and finding.mark == "FAILED" for finding in found.values())


def test_a_right_to_delete_is_needed_for_the_inbox_alone(params_with, bucket, s3_port, changed_client):
    def refuse(request, **_):
        return AWSResponse(request.url, 403, {}, _Raw()) if request.method == "DELETE" else None

    changed_client("before-send.s3", refuse)
    found = by_name(s3.check(places(params_with, bucket.name, s3_port)))
    assert found["publish"].ok and "no right to delete" in found["publish"].message
    assert found["inbox"].mark == "FAILED" and "AccessDenied" in found["inbox"].message


class _Raw:
    def stream(self):
        yield REFUSED


def test_a_server_that_passes_over_conditions_is_noted(params_with, bucket, s3_port, changed_client):
    def forget(request, **_):
        del request.headers["If-None-Match"]

    changed_client("before-sign.s3.PutObject", forget)
    assert verdicts(s3.check(places(params_with, bucket.name, s3_port)))["publish conditions"] == "note"


def test_a_folder_of_releases_must_be_one_that_can_be_made(inside, params_with):
    assert verdicts(s3.check(params_with(publish__to="published"))) == {"publish": "ok"}
    assert not os.path.lexists("published")
    (inside.folder / "published").touch()
    assert verdicts(s3.check(params_with())) == {"publish": "FAILED"}
