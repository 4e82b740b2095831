"""A registered release can be loaded, served and asked for pictures with MLflow alone."""

import base64
import io
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch
from mlflow.exceptions import MlflowException
from PIL import Image

from flows.releases import register
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder
from hfi_core.io.json_files import write_json
from hfi_core.models.diffusion.folder import read_picture_side
from tests.support.flow_fixtures import FakeProject
from tests.support.projects import REPOSITORY
from tests.support.released import mentions


def pipeline_release(folder, miniature) -> None:
    """A release with a pipeline that draws, and an evaluation of it."""
    release = folder / "release"
    shutil.copytree(miniature / "pipeline", release / "model")
    files = [path for path in release.rglob("*") if path.is_file()]
    digests = {path.relative_to(release).as_posix(): f"sha256:{sha256_of_file(path)}" for path in files}
    write_json(release / "digests.json", {"files": digests})
    figure = {"value": 0.04, "low": 0.03, "high": 0.05}
    rows = [{"row": row, "metrics": {"flagged@broad": figure}} for row in ("base", "anchored")]
    (folder / "reports").mkdir()
    (folder / "reports/evaluation.json").write_text(json.dumps({"rows": rows}))


@dataclass(frozen=True)
class Registered:
    """A project with a registered release."""

    project: FakeProject
    address: str
    loaded_meanwhile: tuple
    """Pipelines that were loaded while it was registered."""
    loaded: list
    """All that were loaded since."""
    naming_folders: list
    """Stored files that named a folder of this machine, before MLflow compiled the model's code beside it."""


@pytest.fixture(scope="module")
def registered(_template, tmp_path_factory, fake_environment, miniature) -> Iterator[Registered]:
    import mlflow
    from diffusers import DiffusionPipeline

    folder = tmp_path_factory.mktemp("served") / "project"
    project = FakeProject(shutil.copytree(_template, folder), fake_environment)
    pipeline_release(folder, miniature)
    project.edit(tracking__mlflow=f"sqlite:///{folder}/mlflow.db")  # kept by MLflow for the whole process
    loaded = []
    load = DiffusionPipeline.from_pretrained.__func__

    def counted(*arguments, **options):
        loaded.append(arguments)
        return load(*arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DiffusionPipeline, "from_pretrained", classmethod(counted))
        with pytest.MonkeyPatch.context() as inside:
            inside.chdir(folder)
            made = register.register(project.params)
        mlflow.set_tracking_uri(project.params.tracking.mlflow)
        (stored,) = folder.glob("mlruns/*/models/*/artifacts/MLmodel")
        folders = [str(folder), str(folder.resolve()), str(Path.home()), str(REPOSITORY)]
        naming = [
            path
            for path in stored.parent.rglob("*")
            if path.is_file() and any(mentions(path, each) for each in folders)
        ]
        yield Registered(project, f"models:/{made.model}@candidate", tuple(loaded), loaded, naming)


@pytest.fixture(scope="module")
def model(registered):
    import mlflow

    return mlflow.pyfunc.load_model(registered.address)


def test_the_registered_model_is_the_release_and_draws(registered, model):
    stored = model.unwrap_python_model().release
    assert sha256_of_folder(stored) == sha256_of_folder(registered.project.folder / "release")
    first, again, other = (
        model.predict([{"prompt": "a badge"}], params={"steps": 2, "seed": seed})[0] for seed in (1, 1, 2)
    )
    assert base64.b64decode(first).startswith(b"\x89PNG")
    assert first == again
    assert first != other


def test_registering_draws_nothing_and_the_stored_example_draws(registered, model):
    assert registered.loaded_meanwhile == () and registered.loaded
    sampler = registered.project.params.sampler
    assert model.input_example["prompt"].tolist() == ["a red ball"]
    asked = model.metadata.load_input_example_params(registered.address)
    side = read_picture_side(registered.project.folder / "release/model")
    assert asked == {
        "steps": sampler.steps, "guidance": sampler.guidance, "seed": 0, "height": side, "width": side
    }  # fmt: skip
    (picture,) = model.predict(model.input_example, params=asked)
    assert base64.b64decode(picture).startswith(b"\x89PNG")


SEEDS = tuple(range(12))


def _draw(model, seed: int) -> str:
    (picture,) = model.predict([{"prompt": f"a badge, {seed % 3}"}], params={"steps": 4 + seed % 4, "seed": seed})
    return picture


@pytest.mark.parametrize("scheduler", ["DPMSolverMultistepScheduler", "DDIMScheduler"])
def test_each_of_twelve_requests_at_once_gets_the_picture_of_its_seed(model, scheduler, monkeypatch):
    import diffusers

    pipeline = model.unwrap_python_model().pipeline
    monkeypatch.setattr(pipeline, "scheduler", getattr(diffusers, scheduler).from_config(pipeline.scheduler.config))
    alone = [_draw(model, seed) for seed in SEEDS]
    assert len(set(alone)) == len(SEEDS)
    with ThreadPoolExecutor(len(SEEDS)) as threads:
        assert list(threads.map(lambda seed: _draw(model, seed), 2 * SEEDS)) == 2 * alone


OUT_OF_BOUNDS = [
    ("steps", 0, "an integer from 1 to 500"),
    ("steps", -5, "an integer from 1 to 500"),
    ("steps", 501, "an integer from 1 to 500"),
    ("steps", 2**63 - 1, "an integer from 1 to 500"),
    ("steps", 10**30, "an integer from 1 to 500"),
    ("steps", None, "an integer from 1 to 500"),
    ("guidance", 0.0, "a number from 1 to 50"),
    ("guidance", -7.5, "a number from 1 to 50"),
    ("guidance", 1e6, "a number from 1 to 50"),
    ("guidance", float("inf"), "a number from 1 to 50"),
    ("guidance", float("nan"), "a number from 1 to 50"),
    ("guidance", None, "a number from 1 to 50"),
    ("seed", -1, "an integer from 0 to"),
    ("seed", 2**63, "an integer from 0 to"),
    ("seed", 2**64, "an integer from 0 to"),
    ("width", 10**30, "a multiple of 8 from"),
    ("height", None, "a multiple of 8 from"),
]
OF_ANOTHER_TYPE = [
    ("steps", 2.5), ("steps", 3.0), ("steps", "four"), ("steps", True), ("steps", [4]), ("seed", 0.5), ("seed", "1"),
    ("guidance", "strong"), ("guidance", True), ("height", 64.5), ("width", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), OUT_OF_BOUNDS)
def test_a_value_out_of_bounds_is_a_mistake_of_the_client(model, name, value, expected):
    with pytest.raises(MlflowException) as refused:
        model.predict([{"prompt": "a badge"}], params={name: value})
    assert refused.value.get_http_status_code() == 400
    assert refused.value.message.startswith(f"{name} is {value!r}: {expected}")


@pytest.mark.parametrize(("name", "value"), OF_ANOTHER_TYPE)
def test_a_value_of_another_type_is_a_mistake_of_the_client(model, name, value):
    with pytest.raises(MlflowException, match=name) as refused:
        model.predict([{"prompt": "a badge"}], params={name: value})
    assert refused.value.get_http_status_code() == 400


@pytest.mark.parametrize("prompt", [None, 3, float("nan")])
def test_a_prompt_that_is_not_text_is_a_mistake_of_the_client(model, prompt):
    with pytest.raises(MlflowException) as refused:
        model.predict([{"prompt": prompt}])
    assert refused.value.get_http_status_code() == 400


def test_the_largest_values_that_are_allowed_draw(model):
    asked = {"steps": 1, "seed": 2**63 - 1, "guidance": 50.0}
    pictures = model.predict([{"prompt": "a badge"}, {"prompt": ""}], params=asked)
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)


def _size(model, **asked) -> tuple[int, int]:
    (picture,) = model.predict([{"prompt": "a badge"}], params={"steps": 1} | asked)
    return Image.open(io.BytesIO(base64.b64decode(picture))).size


def test_a_picture_has_the_size_that_was_asked_for_within_bounds(registered, model):
    side = read_picture_side(registered.project.folder / "release/model")
    assert _size(model) == (side, side)
    assert _size(model, width=2 * side, height=side // 2) == (2 * side, side // 2)
    for wrong in (side + 4, 4 * side, 0, -side):
        with pytest.raises(
            MlflowException, match=rf"height is {wrong}: a multiple of 8 from {side // 2} to {2 * side}"
        ):
            _size(model, height=wrong)


def test_the_device_is_the_server_s_to_choose(registered, model, monkeypatch):
    import mlflow

    assert model.unwrap_python_model().pipeline.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    other = mlflow.pyfunc.load_model(registered.address, model_config={"device": "meta"})
    assert other.unwrap_python_model().pipeline.device.type == "meta"


def test_what_is_registered_names_no_folder_of_this_machine(registered):
    assert registered.naming_folders == []


def test_the_version_is_traced_by_each_of_its_names(registered):
    model = registered.project.params.release.model
    for name in ("1", "candidate", model, f"{model}/1", f"{model}@candidate"):
        assert f"{model} version 1" in registered.project.hfi("trace", name).stdout
    assert f"no registered version '{model}/2'" in registered.project.hfi("trace", "2", code=2).stderr


def test_mlflow_serves_it_and_twelve_clients_at_once_get_their_pictures(registered, model):
    from mlflow.models.utils import load_serving_example

    project, address = registered.project, registered.address
    payload = json.loads(load_serving_example(address)) | {"params": {"steps": 2, "seed": 1}}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ("mlflow", "models", "serve", "-m", address, "-p", str(port), "--env-manager", "local", "-w", "1")
    environment = {"MLFLOW_TRACKING_URI": project.params.tracking.mlflow, "PYTHONPATH": os.environ["PYTHONPATH"]}
    with project.running(*command, **environment) as server:
        for _ in range(400):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ping", timeout=5).is_success:
                    break
            except httpx.HTTPError:
                assert server.poll() is None, server.stdout.read()
                time.sleep(0.25)
        address = f"http://127.0.0.1:{port}/invocations"
        answer = httpx.post(address, json=payload, timeout=120)
        wrong = httpx.post(address, json=payload | {"params": {"height": 7}}, timeout=120)
        noise = httpx.post(address, json=payload | {"params": {"steps": -5}}, timeout=120)

        def ask(seed: int) -> httpx.Response:
            params = {"steps": 4 + seed % 4, "seed": seed}
            return httpx.post(
                address, json={"dataframe_records": [{"prompt": f"a badge, {seed % 3}"}], "params": params}, timeout=120
            )

        with ThreadPoolExecutor(len(SEEDS)) as threads:
            answers = list(threads.map(ask, SEEDS))
        long = {"dataframe_records": [{"prompt": "a badge " * 80 + "at the end"}], "params": {"steps": 1}}
        assert httpx.post(address, json=long, timeout=120).is_success
        os.killpg(server.pid, signal.SIGTERM)
        output = server.stdout.read()
    assert wrong.status_code == 400 and "height is 7: a multiple of 8" in wrong.text
    assert noise.status_code == 400 and "steps is -5: an integer from 1" in noise.text
    assert answer.is_success, answer.text
    (picture,) = answer.json()["predictions"]
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert [each.status_code for each in answers] == [200] * len(SEEDS)
    assert [each.json()["predictions"] for each in answers] == [[_draw(model, seed)] for seed in SEEDS]
    assert "was truncated" in output and "at the end" in output
