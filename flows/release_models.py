"""A release as MLflow's model: the merged pipeline behind `predict`, with signature and input example."""

import warnings
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from hfi_core.params import Params

_SERVED_WITH = ("torch", "diffusers", "transformers", "safetensors", "pillow", "mlflow")
_SERVED = Path(__file__).with_name("served_model.py")


def save_pipeline(params: Params, release: Path, folder: Path, model: Any) -> None:
    """Write the pyfunc model from code: prompts in, PNG pictures out; the release is its artifact."""
    import mlflow.pyfunc
    import pandas
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    sampler = params.sampler
    settings = {"steps": sampler.steps, "guidance": sampler.guidance, "seed": 0}
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "prompt")]),
        outputs=Schema([ColSpec("string", "png_base64")]),
        params=ParamSchema(
            [
                ParamSpec("steps", "long", sampler.steps),
                ParamSpec("guidance", "double", sampler.guidance),
                ParamSpec("seed", "long", 0),
            ]
        ),
    )
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # hints on type hints; the signature is given
        mlflow.pyfunc.save_model(
            path=str(folder),
            mlflow_model=model,
            python_model=str(_SERVED),
            artifacts={"release": str(release)},
            model_config={"scheduler": sampler.scheduler} | settings,
            signature=signature,
            input_example=(pandas.DataFrame({"prompt": [example_prompt(params)]}), settings),
            pip_requirements=_pinned(*_SERVED_WITH),
        )


def example_prompt(params: Params) -> str:
    """What the input examples ask for: a picture that nobody objects to."""
    return params.evaluate.suites["unrelated"].prompts[0]


def _pinned(*names: str) -> list[str]:
    return [f"{name}=={installed(name).split('+')[0]}" for name in names]
