"""The registry on a team's server: PostgreSQL and S3 behind MLflow, and this project knows nothing but an address."""

import base64
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from flows.releases import register
from flows.releases.promotion import promote, roll_back
from flows.releases.versions import find_release, list_versions
from hfi_core.io.hashing import sha256_of_folder
from hfi_core.pipeline import release
from tests.support.pickles import holds_pickle
from tests.support.projects import Project, write_project
from tests.support.released import write_release
from tests.support.s3 import OTHERS, credentials_in, s3_server
from tests.support.servers import mlflow_server

BUCKET = "hfi-registry"


@pytest.fixture(scope="module")
def server(postgresql, tmp_path_factory, forked) -> Iterator[SimpleNamespace]:
    """A running MLflow server: its address, the database's server, the bucket."""
    folder = tmp_path_factory.mktemp("server")
    with s3_server() as port:
        endpoint = f"http://127.0.0.1:{port}"
        mine = {name: value for name, value in forked.items() if name not in OTHERS}
        environment = mine | credentials_in(folder) | {"MLFLOW_S3_ENDPOINT_URL": endpoint}
        s3 = boto3.resource(
            "s3", endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id="tests", aws_secret_access_key="tests",
        )  # fmt: skip
        bucket = s3.create_bucket(Bucket=BUCKET)
        stored = (
            f"--backend-store-uri={postgresql.new_database('mlflow')}",
            f"--artifacts-destination=s3://{BUCKET}/artifacts",
        )
        with mlflow_server(folder, environment, *stored) as address:
            yield SimpleNamespace(address=address, database=postgresql, bucket=bucket)


@pytest.fixture(scope="module")
def project(server, miniature, tmp_path_factory) -> Iterator[Project]:
    """A project with a packaged release that tracks there; this process works in it."""
    project = write_project(tmp_path_factory.mktemp("tracked") / "project", miniature)
    gates = {"flagged@broad": {"at_most": 0.1}}
    project.edit(tracking__mlflow=server.address, release__gates=gates)
    write_release(project)
    with pytest.MonkeyPatch.context() as inside:
        inside.chdir(project.folder)
        for name in (*OTHERS, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL"):
            inside.delenv(name, raising=False)
        yield project


def test_a_release_is_registered_found_promoted_and_loaded_back(server, project):
    import mlflow

    params = project.params
    registered = register.register(params)
    assert (registered.version, registered.created) == ("1", True)
    assert not register.register(params).created
    found = find_release(params, "candidate")
    assert found.release == release.release_digest() and [one.number for one in list_versions(params)] == ["1"]

    promoted = promote(params, "1", by="Ada")
    assert (promoted.outcome, promoted.champion) == ("promoted", "1")
    assert Path(promoted.published, "digests.json").exists()

    mlflow.set_tracking_uri(params.tracking.mlflow)
    model = mlflow.pyfunc.load_model(f"models:/{registered.model}@champion")
    assert sha256_of_folder(model.unwrap_python_model().release) == sha256_of_folder(Path("release"))
    (picture,) = model.predict(model.input_example, params={"steps": 2, "seed": 1})
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    adapter = mlflow.diffusers.load_model(found.tags["hfi.lora"])
    stored = Path(adapter.adapter_path, adapter.weight_name)
    assert stored.read_bytes() == Path("release/lora/pytorch_lora_weights.safetensors").read_bytes()

    assert server.database.run("SELECT version FROM model_versions", "mlflow") == "1"
    keys = [found.key for found in server.bucket.objects.all()]
    assert any(key.endswith("release/model/unet/diffusion_pytorch_model.safetensors") for key in keys)
    assert not Path("mlflow.db").exists() and not Path("mlruns").exists()


def test_the_next_release_follows_and_can_be_rolled_back(project):
    digests = Path("release/digests.json")
    digests.write_text(digests.read_text() + "\n")
    params = project.params
    assert register.register(params).version == "2"
    assert find_release(params, "candidate").tags["hfi.parent"] == "1"
    assert promote(params, "2", by="Ada").champion == "2"
    assert roll_back(params, by="Ada").champion == "1"


def test_no_artifact_in_the_bucket_is_or_holds_a_pickle(server, project):
    if not list_versions(project.params):
        register.register(project.params)
    contents = {found.key: found.get()["Body"].read() for found in server.bucket.objects.all()}
    names = {Path(key).name for key in contents}
    assert {"MLmodel", "pytorch_lora_weights.safetensors", "evaluation.json", "served_model.py"} <= names
    assert [key for key, content in contents.items() if holds_pickle(content)] == []
