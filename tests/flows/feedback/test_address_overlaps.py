"""Addresses of one project that lie above or below each other are refused before anything is moved."""

import pytest

from flows.doctor import s3
from flows.feedback.address_overlaps import find_overlaps, require_separate_addresses
from hfi_core.errors import UserError

PEOPLE = {"feedback__simulated": {}, "feedback__store": True, "feedback__file": "data/feedback/people.jsonl"}


@pytest.mark.parametrize(
    ("changes", "remote", "overlap"),
    [
        ({"feedback__inbox": "s3://hfi"}, "s3://hfi/dvc", "feedback.inbox (s3://hfi) and DVC remote r"),
        ({"feedback__inbox": "s3://hfi/dvc/"}, "s3://hfi/dvc", "feedback.inbox"),
        ({"feedback__inbox": "s3://hfi/dvc/inbox"}, "s3://hfi/dvc", "feedback.inbox"),
        ({"feedback__inbox": "s3://hfi", "publish__to": "s3://hfi/releases"}, None, "publish.to"),
        ({"feedback__inbox": "s3://hfi/a", "publish__to": "s3://hfi/a/taken"}, None, "publish.to"),
        ({"publish__to": "s3://hfi/dvc"}, "s3://hfi/dvc/data", "publish.to (s3://hfi/dvc) and DVC remote r"),
        ({"publish__to": "models"}, None, "publish.to (models) and the outputs of stages (models)"),
        ({"publish__to": "candidates/badge/x"}, None, "the outputs of stages (candidates)"),
        ({"publish__to": "mlruns"}, None, "MLflow's artifacts"),
        ({"publish__to": "shared/releases"}, "shared", "publish.to (shared/releases) and DVC remote r"),
        ({}, "release", "DVC remote r"),
        ({"feedback__inbox": "s3://hfi/in", "publish__to": "s3://hfi/inbox"}, "s3://hfi/dvc", None),
        ({"feedback__inbox": "s3://hfi/inbox", "publish__to": "s3://hfi2"}, "../elsewhere", None),
    ],
)
def test_only_what_lies_above_or_below_another_is_refused(inside, changes, remote, overlap):
    inside.edit(**(PEOPLE if "feedback__inbox" in changes else {}), **changes)
    if remote:
        path = str(inside.folder / remote) if "://" not in remote else remote
        inside.call("dvc", "remote", "add", "r", path)
    if overlap is None:
        require_separate_addresses(inside.params)
        return
    with pytest.raises(UserError) as error:
        require_separate_addresses(inside.params)
    text = str(error.value).replace(f"{inside.folder}/", "")
    assert overlap in text and "To fix this: give each" in text
    finding = next(s3.check(inside.params))
    assert finding.name == "addresses" and finding.mark == "FAILED"


def test_buckets_of_one_name_on_two_servers_do_not_overlap(inside):
    inside.edit(publish__to="s3://hfi/x", publish__endpoint="http://one.example")
    inside.call("dvc", "remote", "add", "r", "s3://hfi")
    assert len(find_overlaps(inside.params)) == 1
    inside.call("dvc", "remote", "modify", "r", "endpointurl", "http://two.example")
    assert find_overlaps(inside.params) == []
    inside.call("dvc", "remote", "modify", "r", "endpointurl", "http://one.example/")
    assert len(find_overlaps(inside.params)) == 1


def test_the_command_refuses_them(inside):
    inside.edit(publish__to="release/published")
    done = inside.hfi("params", "check", code=2)
    assert "publish.to (release/published) and the outputs of stages (release)" in done.stderr
