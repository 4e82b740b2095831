"""A model's folder as a logged model of an MLflow run, stored as it is: nothing is loaded, and nothing predicted."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Save = Callable[[Path, Any], None]
"""`save(folder, model)`: one flavor's `save_model` of an `mlflow.models.Model`; the folder is not there yet."""


def log_model(client: Any, run_id: str, name: str, save: Save) -> Any:
    """Store what `save` writes; MLflow's logged model.

    MLflow's own `log_model` would load each model that has an input example and draw it, at every registration.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name, source_run_id=run_id)
    try:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            save(folder, Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id))
            client.log_model_artifacts(logged.model_id, str(folder))
    except Exception:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
