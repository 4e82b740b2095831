"""The evaluation, the release in plain diffusers and the served model draw the same pictures at equal seeds."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
import torch
from mlflow.models import Model
from PIL import Image

from flows.releases.packaging import save_pipeline
from hfi_core.models.diffusion.loading import load_safeguarded_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.models.weights import digest_of_weights
from tests.support.other_model import build_other_model, build_sdxl
from tests.support.released import prepare

pytestmark = pytest.mark.integration  # releases of eight models, each drawn in three ways

PROMPTS = ("a badge", "a red ball", "a knife")


def sd(folder, miniature):
    return shutil.copytree(miniature / "pipeline", folder / "pipeline")


def v_prediction(folder, miniature):
    return build_other_model(folder) and folder / "pipeline"


def sdxl(folder, miniature):
    return build_sdxl(folder / "pipeline")


def sdxl_of_the_hub(folder, miniature):
    """As real copies are: the encoders name the end token of an older convention, and the index names no zeros."""
    base = build_sdxl(folder / "pipeline")
    for part in ("text_encoder", "text_encoder_2"):
        config = json.loads((base / part / "config.json").read_text())
        (base / part / "config.json").write_text(json.dumps(config | {"eos_token_id": 2}))
    index = json.loads((base / "model_index.json").read_text())
    del index["force_zeros_for_empty_prompt"]
    (base / "model_index.json").write_text(json.dumps(index))
    return base


SDE = {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}
"""As `scheduler_config.json` of some bases has it: with noise at each step."""
TRAILING = {"timestep_spacing": "trailing", "steps_offset": 0}
CLIPPING = {"clip_sample": True}


@pytest.mark.parametrize(
    ("build", "sampler", "of_base"),
    [
        (sd, "dpm++", {}), (sd, "ddim", CLIPPING), (sd, "dpm++", SDE),
        (v_prediction, "dpm++", SDE), (v_prediction, "ddim", TRAILING),
        (sdxl, "dpm++", SDE), (sdxl, "ddim", CLIPPING), (sdxl, "dpm++", TRAILING), (sdxl_of_the_hub, "dpm++", {}),
    ],
)  # fmt: skip
def test_evaluation_release_and_served_model_draw_the_same(project, miniature, tmp_path, build, sampler, of_base):
    import mlflow
    from diffusers import DiffusionPipeline

    base = build(tmp_path / "base", miniature)
    config = base / "scheduler/scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | of_base))
    index = json.loads((base / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", json.loads(config.read_text())["_class_name"]]
    (base / "model_index.json").write_text(json.dumps(index))
    project.edit(
        model__source=str(base), model__digest=digest_of_weights(base), release__lora=None,
        sampler={"scheduler": sampler, "steps": 5, "guidance": 3.0},
    )  # fmt: skip
    params, unit = project.params, prepare(project)
    unit.stage.load()(unit.context(params))
    release = unit.outputs["release"]

    model = load_safeguarded_model(params.model, params.compute, unit.inputs["model"])
    requests = [SampleRequest(prompt, 7 + number) for number, prompt in enumerate(PROMPTS)]
    evaluated = [pixels for _, pixels in draw_pictures(model, requests, params.sampler, block=2)]

    plain = DiffusionPipeline.from_pretrained(release / "model", dtype=torch.float32)
    plain.set_progress_bar_config(disable=True)
    released = [
        plain(
            each.prompt, num_inference_steps=5, guidance_scale=3.0, generator=torch.Generator().manual_seed(each.seed)
        ).images[0]
        for each in requests
    ]

    save_pipeline(params, release, tmp_path / "served", Model())
    served = mlflow.pyfunc.load_model(str(tmp_path / "served"), model_config={"device": "cpu"})
    answer = served.predict([{"prompt": prompt} for prompt in PROMPTS], params={"seed": 7})
    answered = [Image.open(io.BytesIO(base64.b64decode(picture))) for picture in answer]

    for number in range(len(PROMPTS)):
        assert released[number].tobytes() == answered[number].tobytes()
        assert np.abs(np.asarray(answered[number], int) - evaluated[number]).max() <= 1, "rounding to 256 values"
    assert not np.array_equal(evaluated[0], evaluated[1])
