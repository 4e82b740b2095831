"""A registered release can be loaded and asked for pictures with MLflow alone."""

import base64
import json
import shutil

from flows import registry
from hfi_core.files import sha256_of_file, sha256_of_folder, write_json


def test_the_registered_model_is_the_release_and_draws(inside, miniature):
    import mlflow

    release = inside.folder / "release"
    shutil.copytree(miniature / "pipeline", release / "model")
    files = [path for path in release.rglob("*") if path.is_file()]
    digests = {path.relative_to(release).as_posix(): f"sha256:{sha256_of_file(path)}" for path in files}
    write_json(release / "digests.json", {"files": digests})
    figure = {"value": 0.04, "low": 0.03, "high": 0.05}
    rows = [{"row": row, "metrics": {"flagged@broad": figure}} for row in ("base", "anchored")]
    (inside.folder / "reports").mkdir()
    (inside.folder / "reports/evaluation.json").write_text(json.dumps({"rows": rows}))
    inside.edit(tracking__mlflow=f"sqlite:///{inside.folder}/mlflow.db")  # kept by MLflow for the whole process
    registered = registry.register(inside.params)

    mlflow.set_tracking_uri(inside.params.tracking.mlflow)
    model = mlflow.pyfunc.load_model(f"models:/{registered.model}@candidate")
    stored = model.unwrap_python_model().release
    assert sha256_of_folder(stored) == sha256_of_folder(release)
    first, again, other = (
        model.predict([{"prompt": "a badge"}], params={"steps": 2, "seed": seed})[0] for seed in (1, 1, 2)
    )
    assert base64.b64decode(first).startswith(b"\x89PNG")
    assert first == again
    assert first != other
