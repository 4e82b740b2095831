"""The model that MLflow serves. MLflow stores this file beside the release, so it must not import this project."""

import base64
import io
import json
import math
from pathlib import Path

import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

_SIDES = ("height", "width")
_MIN_SCALE, _MAX_SCALE = 0.5, 2
"""Of the side that the model was trained at. Beyond, pictures fall apart, and memory grows with their area."""
_MULTIPLE = 8
"""Pixels; diffusers accepts no other sides."""


class SafeguardedModel(PythonModel):
    """From prompts to PNG pictures (base64). A seed gives the same picture again on the same kind of device."""

    def load_context(self, context) -> None:
        """Load the merged diffusers folder of the release."""
        import torch
        from diffusers import DDIMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler

        self.release = Path(context.artifacts["release"])
        index = json.loads((self.release / "model/model_index.json").read_text(encoding="utf-8"))
        # The release was evaluated without the checker that Stable Diffusion 1.x and 2.x name; SDXL has none.
        without = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        self.pipeline = DiffusionPipeline.from_pretrained(
            self.release / "model",
            dtype=torch.float32,
            local_files_only=True,
            **{name: value for name, value in without.items() if name in index},
        )
        kind = DDIMScheduler if context.model_config["scheduler"] == "ddim" else DPMSolverMultistepScheduler
        # DDIM clips by default, which is for pixels: the release was evaluated without.
        self.pipeline.scheduler = kind.from_config(self.pipeline.scheduler.config, clip_sample=False)
        self.pipeline.set_progress_bar_config(disable=True)
        device = context.model_config["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipeline.to(device)

    def predict(self, context, model_input: pandas.DataFrame, params=None) -> list[str]:
        """Draw a picture for the `prompt` of each row. The first picture has `seed`, each further one the next seed.

        Raises MlflowException, which a server answers with status 400, for a `height` or `width` that is out of bounds.
        """
        import torch

        settings = dict(context.model_config) | (params or {})
        sides = {name: self._side(name, int(settings[name]), int(context.model_config[name])) for name in _SIDES}
        pictures = []
        for index, prompt in enumerate(model_input["prompt"]):
            output = self.pipeline(
                prompt,
                num_inference_steps=int(settings["steps"]),
                guidance_scale=float(settings["guidance"]),
                generator=torch.Generator().manual_seed(int(settings["seed"]) + index),  # the same noise on any device
                **sides,
            )
            stream = io.BytesIO()
            output.images[0].save(stream, format="PNG")
            pictures.append(base64.b64encode(stream.getvalue()).decode("ascii"))
        return pictures

    def _side(self, name: str, pixels: int, own: int) -> int:
        multiple = math.lcm(_MULTIPLE, self.pipeline.vae_scale_factor)
        smallest, largest = math.ceil(_MIN_SCALE * own), _MAX_SCALE * own
        if pixels % multiple or not smallest <= pixels <= largest:
            raise MlflowException.invalid_parameter_value(
                f"{name} is {pixels}: a multiple of {multiple} from {smallest} to {largest} pixels is expected."
            )
        return pixels


set_model(SafeguardedModel())
