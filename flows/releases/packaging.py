"""A release as MLflow's models: the merged pipeline behind `predict`, and the LoRA in MLflow's `diffusers` flavor.

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


_SERVED_WITH = ("torch", "diffusers", "transformers", "safetensors", "pillow", "mlflow")
_ADAPTED_WITH = ("torch", "diffusers", "transformers", "accelerate", "peft", "safetensors", "mlflow")
_NOWHERE = "./base"
"""A path for MLflow's eyes: it would ask the hub for a named model's newest commit, and params name the one."""
_SERVED = Path(__file__).with_name("served_model.py")


def save_pipeline(params: Params, release: Path, folder: Path, model: Any) -> None:
    """Write the pyfunc model from code: prompts in, PNG pictures out; the release is its artifact."""
    import mlflow.pyfunc
    import pandas
    from mlflow.models import ModelSignature
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
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # hints on type hints; the signature is given
        mlflow.pyfunc.save_model(
            path=str(folder),
            mlflow_model=model,
            python_model=str(_SERVED),
            artifacts={"release": str(release)},
            model_config={"scheduler": sampler.scheduler, "device": "auto"} | settings,
            signature=signature,
            input_example=(pandas.DataFrame({"prompt": [example_prompt(params)]}), settings),
            pip_requirements=_pinned(*_SERVED_WITH),
        )


def save_adapter(params: Params, release: Path, folder: Path, model: Any) -> None:
    """Write the LoRA with a reference to the base: `mlflow.diffusers.load_model(...).load_pipeline(base_model=...)`."""
    import mlflow.diffusers
    import pandas
    from mlflow.models import ModelSignature
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    side = read_picture_side(release / "model")
    asked = {
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
        base_model=_NOWHERE,
        mlflow_model=model,
        signature=ModelSignature(
            inputs=Schema([ColSpec("string", "prompt")]),
            outputs=Schema([ColSpec("binary", "image")]),
            params=ParamSchema([ParamSpec(name, kinds[type(value)], value) for name, value in asked.items()]),
        ),
        input_example=(pandas.DataFrame({"prompt": [example_prompt(params)]}), asked),
        pip_requirements=_pinned(*_ADAPTED_WITH),
    )
    # With the file's name diffusers need not guess it, which it refuses to do offline.
    told = {"base_model": params.model.source, "weight_name": Path(LORA_WEIGHTS).name}
    if params.model.revision:
        told["base_model_revision"] = params.model.revision
    model.flavors[mlflow.diffusers.FLAVOR_NAME] |= told
    model.save(str(folder / MLMODEL_FILE_NAME))


def example_prompt(params: Params) -> str:
    """What the input examples ask for: a picture that nobody objects to."""
    return params.evaluate.suites["unrelated"].prompts[0]


def _pinned(*names: str) -> list[str]:
    return [f"{name}=={installed(name).split('+')[0]}" for name in names]
