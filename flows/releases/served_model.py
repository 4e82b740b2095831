"""The model that MLflow serves. MLflow stores this file beside the release, so it must not import this project."""

import base64
import io
import json
import math
from numbers import Real
from pathlib import Path
from threading import Lock

import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

_MIN_SCALE, _MAX_SCALE = 0.5, 2
"""Of the side that the model was trained at. Beyond, pictures fall apart, and memory grows with their area."""
_MULTIPLE = 8
"""Pixels; diffusers accepts no other sides."""
_MIN_GUIDANCE, _MAX_GUIDANCE = 1, 50
"""As in params.yaml; 1 is no guidance."""
_MAX_SEED = 2**63 - 1
"""The largest number of MLflow's type `long`."""


class SafeguardedModel(PythonModel):
    """From prompts to PNG pictures (base64). A seed gives the same picture again on the same kind of device.

    A server calls `predict` in several threads. The scheduler, the tokenizer and the pipeline itself have state while
    they draw. So each picture has a scheduler of its own, and pictures are drawn one after the other.
    """

    def load_context(self, context) -> None:
        """Load the merged diffusers folder of the release."""
        import torch
        from diffusers import DiffusionPipeline

        self.drawing = Lock()
        self.release = Path(context.artifacts["release"])
        index = json.loads((self.release / "model/model_index.json").read_text(encoding="utf-8"))
        # The release was evaluated without the checker of Stable Diffusion 1.x and 2.x, and SDXL's watermark.
        without = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        if "text_encoder_2" in index:
            index, without = index | {"add_watermarker": None}, {"add_watermarker": False}
        self.pipeline = DiffusionPipeline.from_pretrained(
            self.release / "model",
            dtype=torch.float32,
            local_files_only=True,
            **{name: value for name, value in without.items() if name in index},
        )
        self.pipeline.set_progress_bar_config(disable=True)
        device = context.model_config["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipeline.to(device)

    def predict(self, context, model_input: pandas.DataFrame, params=None) -> list[str]:
        """Draw a picture for the `prompt` of each row. The first picture has `seed`, each further one the next seed.

        Raises MlflowException, which a server answers with status 400, for a prompt that is not text, and for a value
        of `steps`, `guidance`, `seed`, `height` or `width` that is out of bounds.
        """
        own = context.model_config
        settings = self._checked(dict(own) | (params or {}), own)
        prompts = list(model_input["prompt"])
        for prompt in prompts:
            if not isinstance(prompt, str):
                raise MlflowException.invalid_parameter_value(f"prompt is {prompt!r}: text is expected.")
        seed = settings.pop("seed")
        return [self._draw(prompt, seed + index, **settings) for index, prompt in enumerate(prompts)]

    def _draw(self, prompt: str, seed: int, *, steps: int, guidance: float, height: int, width: int) -> str:
        """Return a picture as PNG in base64."""
        import torch

        with self.drawing:
            self.pipeline.scheduler = self.pipeline.scheduler.from_config(self.pipeline.scheduler.config)
            output = self.pipeline(
                prompt,
                num_inference_steps=steps,
                guidance_scale=guidance,
                height=height,
                width=width,
                generator=torch.Generator().manual_seed(seed),  # the same noise on any device
            )
        stream = io.BytesIO()
        output.images[0].save(stream, format="PNG")
        return base64.b64encode(stream.getvalue()).decode("ascii")

    def _checked(self, settings: dict, own: dict) -> dict:
        """Return what `_draw` takes, and the seed. `own` holds the settings with which the release was evaluated."""
        # With more steps, some spacings of the steps would begin in the middle of the noise.
        most_steps = max(int(own["steps"]), self.pipeline.scheduler.config.num_train_timesteps // 2)
        multiple = math.lcm(_MULTIPLE, self.pipeline.vae_scale_factor)
        checked = {
            "steps": _integer(settings, "steps", 1, most_steps),
            "seed": _integer(settings, "seed", 0, _MAX_SEED),
        }
        for name in ("height", "width"):
            smallest, largest = math.ceil(_MIN_SCALE * own[name]), _MAX_SCALE * own[name]
            checked[name] = _integer(settings, name, smallest, largest, multiple)
        guidance = settings["guidance"]
        if not _is_number(guidance) or not _MIN_GUIDANCE <= guidance <= _MAX_GUIDANCE:
            expected = f"a number from {_MIN_GUIDANCE} to {_MAX_GUIDANCE}"
            raise MlflowException.invalid_parameter_value(f"guidance is {guidance!r}: {expected} is expected.")
        return checked | {"guidance": float(guidance)}


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _integer(settings: dict, name: str, smallest: int, largest: int, multiple: int = 1) -> int:
    value = settings[name]
    if not _is_number(value) or not smallest <= value <= largest or value % multiple:
        expected = f"a multiple of {multiple}" if multiple > 1 else "an integer"
        raise MlflowException.invalid_parameter_value(
            f"{name} is {value!r}: {expected} from {smallest} to {largest} is expected."
        )
    return int(value)


set_model(SafeguardedModel())
