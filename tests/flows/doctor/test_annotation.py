"""The webhook is parsed and not called; the page that runs lead people to must be ours."""

import shutil

import pytest
import yaml

from flows.doctor import annotation
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support.judging import draw_candidates
from tests.support.servers import free_port, running, wait_for


@pytest.mark.parametrize(
    ("address", "mark"),
    [
        ("https://ana:secret@chat.example.org/hooks/secret", "ok"), ("ftp://chat.example.org/secret", "FAILED"),
        ("secret", "FAILED"), ("https://:secret", "FAILED"), ("https://", "FAILED"),
    ],
)  # fmt: skip
def test_a_webhook_is_shown_by_its_host_alone(params_with, monkeypatch, address, mark):
    monkeypatch.setenv("HFI_FAILURE_WEBHOOK", address)
    found = by_name(annotation.check(params_with()))["webhook"]
    assert found.mark == mark and "secret" not in str(found), found


def test_where_none_is_named_nothing_is_asked(params_with):
    assert list(annotation.check(params_with())) == []


def test_the_annotation_page_is_up_or_down_or_another(inside, params_with, tmp_path, s3_port):
    def named(address: str) -> None:
        content = {"deployments": [{"parameters": {"page": address}}, {"parameters": {"page": None}}, {}]}
        (inside.folder / "prefect.yaml").write_text(yaml.safe_dump(content))

    shutil.rmtree(inside.folder / "candidates", ignore_errors=True)
    draw_candidates(inside.folder / "candidates/badge", 3)
    params = params_with(feedback__store=True, feedback__simulated={}, feedback__file="data/people.jsonl")
    port, log = free_port(), tmp_path / "log"
    page = f"http://127.0.0.1:{port}"
    named(page)
    assert verdicts(annotation.check(params)) == {"annotation page": "FAILED"}
    with running(["hfi", "annotate", f"--port={port}"], inside.folder, log, inside.environment) as server:
        wait_for(f"{page}/sign-in", server, log)
        assert verdicts(annotation.check(params)) == {"annotation page": "ok"}
    named(f"http://127.0.0.1:{s3_port}/moto-api/")
    found = by_name(annotation.check(params))["annotation page"]
    assert found.mark == "FAILED" and "is another page" in found.message
