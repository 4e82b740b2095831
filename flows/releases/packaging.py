"""Package a release as MLflow models: the merged pipeline with `predict`, and the LoRA in the flavor `diffusers`.

Both have a signature and an input example.
"""

import warnings
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hfi_core.models.diffusion.folder import read_picture_side
from hfi_core.params import Params
from hfi_core.pipeline.release import LORA_WEIGHTS
from hfi_core.report.model_card import is_hub_id

Save = Callable[[Path, Any], None]
"""`save(folder, model)`: one flavor's `save_model` for an `mlflow.models.Model`. The folder does not exist yet."""


def log_model(client: Any, run_id: str, name: str, save: Save) -> Any:
    """Store what `save` writes, and return MLflow's logged model.

    MLflow's own `log_model` would load each model that has an input example and draw a picture, at each registration.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name, source_run_id=run_id)
    try:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            save(folder, Model(name, run_id, model_uuid=logged.model_id, model_id=logged.model_id))
            client.log_model_artifacts(logged.model_id, str(folder))
    except Exception:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


_SERVED_REQUIREMENTS = ("torch", "diffusers", "transformers", "safetensors", "pillow", "mlflow")
_ADAPTER_REQUIREMENTS = ("torch", "diffusers", "transformers", "accelerate", "peft", "safetensors", "mlflow")
_PLACEHOLDER = "./base"
"""MLflow takes a path as it is. For a model's name it would request the newest commit; params name a fixed one.
It stays where the base is a local folder, because a path of this machine is nobody else's concern."""
_SERVED = Path(__file__).with_name("served_model.py")


def save_pipeline(params: Params, release: Path, folder: Path, model: Any) -> None:
    """Write the pyfunc model from code: it takes prompts and returns PNG pictures. The release is its artifact."""
    import mlflow.pyfunc
    import pandas
    from mlflow.models import ModelSignature
    from mlflow.models.model import MLMODEL_FILE_NAME, MODEL_CODE_PATH
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    sampler, side = params.sampler, read_picture_side(release / "model")
    settings = {"steps": sampler.steps, "guidance": sampler.guidance, "seed": 0, "height": side, "width": side}
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "prompt")]),
        outputs=Schema([ColSpec("string", "png_base64")]),
        params=ParamSchema(
            [
                ParamSpec(name, "double" if isinstance(value, float) else "long", value)
                for name, value in settings.items()
            ]
        ),
    )
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # about type hints; the signature is given
        mlflow.pyfunc.save_model(
            path=str(folder),
            mlflow_model=model,
            python_model=str(_SERVED),
            artifacts={"release": str(release)},
            model_config={"device": "auto"} | settings,
            signature=signature,
            input_example=(pandas.DataFrame({"prompt": [example_prompt(params)]}), settings),
            pip_requirements=_pinned(*_SERVED_REQUIREMENTS),
        )
    # MLflow notes where it took release and code from: paths of this machine. It loads the copies.
    noted = model.flavors[mlflow.pyfunc.FLAVOR_NAME]
    noted[MODEL_CODE_PATH] = _SERVED.name
    noted["artifacts"]["release"]["uri"] = noted["artifacts"]["release"]["path"]
    model.save(str(folder / MLMODEL_FILE_NAME))


def save_adapter(params: Params, release: Path, folder: Path, model: Any) -> None:
    """Write the LoRA with a reference to its base: `mlflow.diffusers.load_model(...).load_pipeline(base_model=...)`."""
    import mlflow.diffusers
    import mlflow.pyfunc
    import pandas
    from mlflow.models import ModelSignature
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    side = read_picture_side(release / "model")
    defaults = {
        "num_inference_steps": params.sampler.steps,
        "guidance_scale": params.sampler.guidance,
        "height": side,
        "width": side,
        "negative_prompt": "",
    }
    kinds = {int: "integer", float: "double", str: "string"}
    mlflow.diffusers.save_model(
        adapter_path=str(release / LORA_WEIGHTS),
        path=str(folder),
        base_model=_PLACEHOLDER,
        mlflow_model=model,
        signature=ModelSignature(
            inputs=Schema([ColSpec("string", "prompt")]),
            outputs=Schema([ColSpec("binary", "image")]),
            params=ParamSchema([ParamSpec(name, kinds[type(value)], value) for name, value in defaults.items()]),
        ),
        input_example=(pandas.DataFrame({"prompt": [example_prompt(params)]}), defaults),
        pip_requirements=_pinned(*_ADAPTER_REQUIREMENTS),
    )
    # Without the file's name diffusers would guess it, which it refuses to do offline.
    base: dict[str, str | None] = {"weight_name": Path(LORA_WEIGHTS).name}
    if is_hub_id(params.model):
        base |= {"base_model": params.model.source, "base_model_revision": params.model.revision}
    model.flavors[mlflow.diffusers.FLAVOR_NAME] |= base
    # Or MLflow ignores these options of `mlflow.pyfunc.load_model(address, model_config={...})`.
    options = {"base_model": base.get("base_model", _PLACEHOLDER), "device": None, "torch_dtype": "auto"}
    model.flavors[mlflow.pyfunc.FLAVOR_NAME][mlflow.pyfunc.MODEL_CONFIG] = options
    model.save(str(folder / MLMODEL_FILE_NAME))


def example_prompt(params: Params) -> str:
    """Return the prompt of the input examples: for a picture that nobody objects to."""
    return params.evaluate.suites[params.evaluate.suites_of("unrelated")[0]].prompts[0]


def _pinned(*names: str) -> list[str]:
    return [f"{name}=={installed(name).split('+')[0]}" for name in names]
