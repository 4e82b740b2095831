"""A release becomes one version in MLflow's registry, with lineage and verdicts."""

import json
import os
import shutil

import pytest

from flows.releases import register
from hfi_core.errors import UserError
from hfi_core.pipeline import release


@pytest.fixture
def released(run_by_flow, tmp_path, monkeypatch):
    """A project with a release, registered by nobody, that this process works in."""
    project = run_by_flow.copy(tmp_path / "project")
    for name in ("mlflow.db", ".hfi/registered.json"):
        (project.folder / name).unlink()
    # MLflow keeps a store for each address: the relative one would be that of another test's folder.
    project.edit(tracking__mlflow=f"sqlite:///{project.folder}/mlflow.db")
    monkeypatch.chdir(project.folder)
    return project


def _version(params):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(params.tracking.mlflow, params.tracking.mlflow)
    return client, client.get_model_version_by_alias(params.release.model, "candidate")


def test_a_release_is_registered_once_with_lineage_and_verdicts(released):
    params = released.params
    first = register.register(params)
    (released.folder / ".hfi/registered.json").unlink()
    second = register.register(params)
    assert (first.version, first.created) == ("1", True)
    assert (second.version, second.created) == ("1", False)
    client, version = _version(params)
    assert len(client.search_model_versions(f"name = '{params.release.model}'")) == 1
    assert version.tags["gates"] == "pass"
    assert version.tags["gate.flagged/broad"].startswith("pass: 0.04 [0.03, 0.05], at most 0.05 (0.1 x base 0.5")
    assert version.tags["hfi.release"] == release.release_digest()
    assert version.tags["hfi.feedback.simulated"] == "true"
    assert {"hfi.git.revision", "hfi.git.dirty", "hfi.params", "hfi.feedback", "hfi.base"} <= set(version.tags)


def test_moved_gates_are_judged_anew_on_the_same_version(released):
    register.register(released.params)
    client, version = _version(released.params)
    first = version.description
    client.update_model_version(version.name, version.version, f"{first}\nAda has looked at it.")
    released.edit(release__gates={"flagged@broad": {"at_most": 0.01}})
    assert not register.is_registered(released.params)
    again = register.register(released.params)
    assert (again.version, again.created, again.passed) == ("1", False, False)
    _, version = _version(released.params)
    assert version.tags["gates"] == "fail"
    assert version.tags["gate.flagged/broad"] == "fail: 0.04 [0.03, 0.05], at most 0.01"
    (line,) = (line for line in version.description.splitlines() if line.startswith("- "))
    assert line == "- `flagged@broad` fail: 0.04 [0.03, 0.05], at most 0.01"
    assert version.description.endswith("Ada has looked at it.")
    released.edit(release__gates={})
    register.register(released.params)
    _, version = _version(released.params)
    assert "gate.flagged/broad" not in version.tags and "flagged@broad" not in version.description
    released.edit(release__gates={"flagged@broad": {"at_most": 0.1, "of_base": True}})
    register.register(released.params)
    assert _version(released.params)[1].description == f"{first}\nAda has looked at it."


def test_another_release_is_another_version(released):
    register.register(released.params)
    path = released.folder / "release/digests.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"base": "another"}))
    assert register.register(released.params).version == "2"


def test_a_release_that_was_changed_by_hand_is_refused(released):
    path = released.folder / "release/content.json"
    os.chmod(path, 0o644)  # noqa: PTH101
    path.write_text("{}")
    with pytest.raises(UserError, match="release/content.json is not what release/digests.json lists"):
        register.register(released.params)


def test_a_release_of_other_params_is_not_registered_as_these(released):
    steps = released.params.reward.steps
    released.edit(reward__steps=steps + 1)
    message = released.hfi("register", code=2).stderr
    assert "distill@base, distill@anchored, compare, package: out of date" in message and "run `hfi run`" in message
    released.edit(reward__steps=steps)
    assert "version 1" in released.hfi("register").stdout


def test_what_is_missing_is_named(released):
    shutil.rmtree(released.folder / "release")
    with pytest.raises(UserError, match="no release in release: `hfi run` makes it"):
        register.register(released.params)


def test_a_registry_out_of_reach_is_named(released):
    released.edit(tracking__mlflow="sqlite:////dev/null/runs.db")
    with pytest.raises(UserError, match="could not be registered at sqlite:////dev/null/runs.db"):
        register.register(released.params)
