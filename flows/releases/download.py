"""A registered version's release, as MLflow holds it."""

from pathlib import Path
from typing import Any

from hfi_core.errors import UserError
from hfi_core.params import Params
from hfi_core.pipeline.release import release_digest, require_whole


def download_release(params: Params, client: Any, version: Any, scratch: Path) -> Path:
    """The release of an MLflow model version, downloaded below `scratch` and held against its digest.

    Raises UserError if it is not what was registered, and MlflowException or OSError if it is out of reach.
    """
    import mlflow

    digest = version.tags.get("hfi.release")
    if digest is None:
        raise UserError("it was not registered by `hfi register`: it has no tag hfi.release")
    # By its place: a `models:/` address would be looked up at MLflow's global address, whatever is given here.
    place = client.get_model_version_download_uri(version.name, version.version)
    stored = mlflow.artifacts.download_artifacts(place, dst_path=str(scratch), tracking_uri=params.tracking.mlflow)
    release = Path(stored) / "artifacts/release"
    try:
        require_whole(release)
        if release_digest(release) != digest:
            raise UserError("another list of digests")
    except (UserError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError("the files that MLflow holds are not the release that was registered (hfi.release)") from error
    return release
