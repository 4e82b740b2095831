"""Download the release of a registered version from MLflow, and check it."""

from pathlib import Path
from typing import Any

from hfi_core.errors import UserError
from hfi_core.params import Params
from hfi_core.pipeline.release import release_digest, require_whole


def download_release(params: Params, client: Any, version: Any, scratch: Path) -> Path:
    """Download the release of an MLflow model version to `scratch`, compare it with its digest, and return its folder.

    Raises UserError if it is not what was registered. Raises MlflowException or OSError if MLflow is out of reach.
    """
    import mlflow

    digest = version.tags.get("hfi.release")
    if digest is None:
        raise UserError("it was not registered by `hfi register`: it has no tag hfi.release")
    # By the files' address: a `models:/` address would be looked up at MLflow's global address, not at this one.
    address = client.get_model_version_download_uri(version.name, version.version)
    stored = mlflow.artifacts.download_artifacts(address, dst_path=str(scratch), tracking_uri=params.tracking.mlflow)
    release = Path(stored) / "artifacts/release"
    try:
        require_whole(release)
        if release_digest(release) != digest:
            raise UserError("it has another list of digests")
    except (UserError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError("the files that MLflow holds are not the release that was registered (hfi.release)") from error
    return release
