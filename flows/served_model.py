"""The release as MLflow serves it: MLflow stores this file beside the release, so it imports nothing of ours."""

import base64
import io
import json
from pathlib import Path

import pandas
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class SafeguardedModel(PythonModel):
    """Prompts in, PNG pictures out (base64). A seed gives the same picture again."""

    def load_context(self, context) -> None:
        """Load the merged diffusers folder of the release."""
        import torch
        from diffusers import DDIMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler

        self.release = Path(context.artifacts["release"])
        index = json.loads((self.release / "model/model_index.json").read_text(encoding="utf-8"))
        # Stable Diffusion 1.x and 2.x name a checker that is no part of the release; SDXL has none.
        without = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        self.pipeline = DiffusionPipeline.from_pretrained(
            self.release / "model",
            dtype=torch.float32,
            local_files_only=True,
            **{name: value for name, value in without.items() if name in index},
        )
        kind = DDIMScheduler if context.model_config["scheduler"] == "ddim" else DPMSolverMultistepScheduler
        self.pipeline.scheduler = kind.from_config(self.pipeline.scheduler.config)
        self.pipeline.set_progress_bar_config(disable=True)

    def predict(self, context, model_input: pandas.DataFrame, params=None) -> list[str]:
        """Draw a picture for each row's `prompt`; the first one has `seed`, each further one the next."""
        import torch

        settings = dict(context.model_config) | (params or {})
        pictures = []
        for index, prompt in enumerate(model_input["prompt"]):
            drawn = self.pipeline(
                prompt,
                num_inference_steps=int(settings["steps"]),
                guidance_scale=float(settings["guidance"]),
                generator=torch.Generator().manual_seed(int(settings["seed"]) + index),
            )
            stream = io.BytesIO()
            drawn.images[0].save(stream, format="PNG")
            pictures.append(base64.b64encode(stream.getvalue()).decode("ascii"))
        return pictures


set_model(SafeguardedModel())
