"""Nothing that a run or a registration stores in MLflow is or holds a pickle."""

from pathlib import Path

from mlflow.tracking import MlflowClient

from tests.support.pickles import holds_pickle


def test_no_artifact_of_a_whole_run_and_its_registered_version_is_a_pickle(run_by_flow):
    folder = run_by_flow.project.folder
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(run_by_flow.project.params.tracking.experiment)
    assert client.search_model_versions(f"name = '{run_by_flow.project.params.release.model}'")
    artifacts = Path(experiment.artifact_location.removeprefix("file://"))
    files = [path for path in (folder / artifacts).rglob("*") if path.is_file()]
    assert {"MLmodel", "dvc.lock", "evaluation.json", "content.json"} <= {path.name for path in files}
    assert [path for path in files if holds_pickle(path.read_bytes())] == []
