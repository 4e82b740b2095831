"""Remotes of git and DVC: up, down and wrong."""

import subprocess

import pytest

from flows.doctor import dvc, git
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support.servers import free_port


def test_git_s_remotes_answer_or_are_noted_and_no_token_is_shown(inside, tmp_path, params_with):
    inside.call("git", "init", "-q", "--bare", str(tmp_path / "there"))
    inside.call("git", "remote", "add", "there", str(tmp_path / "there"))
    inside.call("git", "push", "-q", "there", "HEAD:refs/heads/main")
    inside.call("git", "remote", "add", "gone", str(tmp_path / "gone"))
    inside.call("git", "remote", "add", "down", f"http://a-token@127.0.0.1:{free_port()}/x.git")
    found = by_name(git.check(params_with()))
    assert {name: finding.mark for name, finding in found.items()} == {
        "git remote there": "ok", "git remote gone": "note", "git remote down": "note",
    }  # fmt: skip
    assert "1 branches" in found["git remote there"].message
    assert "a-token" not in str(found)


def test_a_project_without_remotes_needs_none(params_with):
    assert list(git.check(params_with())) == []
    assert verdicts(dvc.check(params_with())) == {"DVC remotes": "ok"}


def test_a_folder_as_dvc_s_remote_must_be_one_that_can_be_written(inside, tmp_path, params_with):
    (tmp_path / "file").touch()
    inside.call("dvc", "remote", "add", "new", str(tmp_path / "not/yet/there"))
    inside.call("dvc", "remote", "add", "wrong", str(tmp_path / "file"))
    assert verdicts(dvc.check(params_with())) == {"DVC remote new": "ok", "DVC remote wrong": "FAILED"}


def test_a_remote_that_params_name_must_be_configured(params_with):
    params = params_with(versioning__push="elsewhere")
    assert by_name(dvc.check(params))["DVC remote elsewhere"].mark == "FAILED"


@pytest.mark.parametrize("state", ["up", "down", "wrong"])
def test_dvc_s_remote_in_s3(inside, bucket, s3_port, params_with, state):
    port = free_port() if state == "down" else s3_port
    name = "no-such-bucket" if state == "wrong" else bucket.name
    inside.call("dvc", "remote", "add", "store", f"s3://{name}/dvc")
    inside.call("dvc", "remote", "modify", "store", "endpointurl", f"http://127.0.0.1:{port}")
    found = by_name(dvc.check(params_with()))["DVC remote store"]
    assert found.mark == ("ok" if state == "up" else "FAILED"), found


def test_outside_git_nothing_is_asked(tmp_path, monkeypatch, params_with):
    params = params_with()
    monkeypatch.chdir(tmp_path)
    assert subprocess.run(["git", "status"], capture_output=True).returncode != 0
    assert list(git.check(params)) == [] and list(dvc.check(params)) == []
