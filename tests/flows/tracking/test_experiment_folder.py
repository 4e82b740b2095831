"""What DVC runs in a temporary copy of the project is recorded in the project itself."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from flows.tracking.experiment_folder import find_project_folder


@pytest.mark.parametrize(
    ("root", "here", "project"),
    [
        (".", ".", "."),
        ("sub", "sub", "sub"),
        (".dvc/tmp/exps/tmp1", ".dvc/tmp/exps/tmp1", "."),
        (".dvc/tmp/exps/standalone/tmp1", ".dvc/tmp/exps/standalone/tmp1", "."),
        (".dvc/tmp/exps/tmp1", ".dvc/tmp/exps/tmp1/sub", "sub"),
        ("sub/.dvc/tmp/exps/tmp1/sub", "sub/.dvc/tmp/exps/tmp1/sub", "sub"),
    ],
)
def test_the_project_is_found_from_a_copy_of_it(tmp_path, monkeypatch, root, here, project):
    (tmp_path / root / ".dvc").mkdir(parents=True)
    (tmp_path / here).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / here)
    assert find_project_folder() == tmp_path / project


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        pytest.param(("queue", "start"), ["7"], id="queue start"),
        pytest.param(("exp", "run", "--run-all"), ["7", "8"], id="exp run --run-all", marks=pytest.mark.soak),
    ],
)
def test_queued_experiments_are_recorded_in_the_project(fake_project, command, steps):
    for number in steps:
        fake_project.call("dvc", "exp", "run", "--queue", "--name", f"steps-{number}", "-S", f"reward.steps={number}")
    fake_project.call("dvc", *command)
    fake_project.call("dvc", "queue", "logs", f"steps-{steps[-1]}", "--follow")
    assert "Success" in fake_project.call("dvc", "queue", "status").stdout
    client = MlflowClient(f"sqlite:///{fake_project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("emblems")
    runs = client.search_runs([experiment.experiment_id])
    for number in steps:
        own = {run.info.run_name: run for run in runs if run.data.params.get("reward.steps") == number}
        artifacts = Path(own["distill@anchored"].info.artifact_uri)
        assert artifacts.is_relative_to(fake_project.folder / "mlruns")
        assert (artifacts / "outputs/anchored/content.json").exists()
    assert not list(fake_project.folder.glob(".dvc/tmp/exps/tmp*/*.db"))
