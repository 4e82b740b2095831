"""Models that the code does not compute are refused by name; the others draw what diffusers' own pipeline draws."""

import json
import shutil

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)

from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import denoise, draw_initial_noise
from hfi_core.models.diffusion.supported import _SCHEDULERS, require_supported
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Sampler, Source
from tests.support.other_model import build_other_model, build_sdxl


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Folders of both model shapes, with random weights."""
    folder = tmp_path_factory.mktemp("shapes")
    return {"sd": build_other_model(folder) / "pipeline", "sdxl": build_sdxl(folder / "sdxl")}


def edit(path, **changes):
    """Change keys of a JSON file; `...` removes a key."""
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


INDEX, SCHEDULER, UNET, VAE = (
    "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json",
)  # fmt: skip

REFUSED = {
    # name: shape, changes by file, message
    "FLUX": ("sd", {INDEX: {"_class_name": "FluxPipeline"}}, "describes a FluxPipeline"),
    "inpainting": ("sd", {INDEX: {"_class_name": "StableDiffusionInpaintPipeline"}}, "StableDiffusionInpaintPipeline"),
    "img2img": ("sd", {INDEX: {"_class_name": "StableDiffusionImg2ImgPipeline"}}, "StableDiffusionImg2ImgPipeline"),
    "SDXL img2img": ("sdxl", {INDEX: {"_class_name": "StableDiffusionXLImg2ImgPipeline"}}, "XLImg2ImgPipeline"),
    "unCLIP": ("sd", {INDEX: {"_class_name": "StableUnCLIPPipeline"}}, "describes a StableUnCLIPPipeline"),
    "LCM": ("sd", {INDEX: {"_class_name": "LatentConsistencyModelPipeline"}}, "LatentConsistencyModelPipeline"),
    "a community pipeline": ("sd", {INDEX: {"_class_name": ["custom", "Mine"]}}, "names no pipeline"),
    "no pipeline": ("sd", {INDEX: {"_class_name": ...}}, "names no pipeline"),
    "SDXL under the name of SD": ("sdxl", {INDEX: {"_class_name": "StableDiffusionPipeline"}}, "addition_embed_type"),
    "SD under the name of SDXL": ("sd", {INDEX: {"_class_name": "StableDiffusionXLPipeline"}}, "text_encoder_2 is"),
    "a transformer": ("sd", {INDEX: {"unet": ["diffusers", "SD3Transformer2DModel"]}}, "SD3Transformer2DModel"),
    "a tiny VAE": ("sd", {INDEX: {"vae": ["diffusers", "AutoencoderTiny"]}}, "AutoencoderTiny"),
    "a VAE of two decoders": ("sd", {INDEX: {"vae": ["diffusers", "AsymmetricAutoencoderKL"]}}, "Asymmetric"),
    "no scheduler": ("sd", {INDEX: {"scheduler": [None, None]}}, "names no scheduler"),
    "EDM": ("sdxl", {SCHEDULER: {"_class_name": "EDMDPMSolverMultistepScheduler"}}, "EDMDPMSolverMultistepScheduler"),
    "EDM in the index": ("sdxl", {INDEX: {"scheduler": ["diffusers", "EDMEulerScheduler"]}}, "EDMEulerScheduler"),
    "LCM's sampler": ("sd", {SCHEDULER: {"_class_name": "LCMScheduler"}}, "LCMScheduler"),
    "TCD's sampler": ("sdxl", {SCHEDULER: {"_class_name": "TCDScheduler"}}, "TCDScheduler"),
    "a flow": ("sd", {SCHEDULER: {"_class_name": "FlowMatchEulerDiscreteScheduler"}}, "FlowMatchEuler"),
    "flow sigmas": ("sd", {SCHEDULER: {"use_flow_sigmas": True}}, "use_flow_sigmas is True"),
    "a predicted flow": ("sd", {SCHEDULER: {"prediction_type": "flow_prediction"}}, "'flow_prediction'"),
    "a predicted sample": ("sd", {SCHEDULER: {"prediction_type": "sample"}}, "prediction_type is 'sample'"),
    "pure noise": ("sd", {SCHEDULER: {"rescale_betas_zero_snr": True}}, "zero terminal SNR"),
    "CosXL's levels": ("sdxl", {SCHEDULER: {"sigma_max": 120.0, "sigma_min": 0.002}}, "sigma_max is 120.0"),
    "CosXL's time": ("sdxl", {SCHEDULER: {"timestep_type": "continuous"}}, "timestep_type is 'continuous'"),
    "betas that are not said": (
        "sd",
        {INDEX: {"scheduler": ["diffusers", "HeunDiscreteScheduler"]}, SCHEDULER: {"beta_start": ...}},
        "beta_start is missing",
    ),
    "shifted latents": ("sdxl", {VAE: {"latents_mean": [-1.6, 1.1, 2.7, -0.2]}}, "latents_mean is"),
    "scaled latents": ("sdxl", {VAE: {"latents_std": [8.4, 5.9, 4.0, 4.8]}}, "latents_std is"),
    "FLUX's shift": ("sd", {VAE: {"shift_factor": 0.1159}}, "shift_factor is 0.1159"),
    "LCM's guidance": ("sdxl", {UNET: {"time_cond_proj_dim": 256}}, "time_cond_proj_dim is 256 .*LCM"),
    "class labels": ("sd", {UNET: {"num_class_embeds": 10}}, "num_class_embeds is 10"),
    "an upscaler's noise": ("sd", {UNET: {"class_embed_type": "timestep"}}, "class_embed_type is 'timestep'"),
    "a picture as condition": ("sd", {UNET: {"addition_embed_type": "image"}}, "addition_embed_type is 'image'"),
    "no sizes in SDXL": ("sdxl", {UNET: {"addition_embed_type": None}}, "addition_embed_type is None"),
    "another encoder": ("sd", {UNET: {"encoder_hid_dim_type": "text_proj"}}, "encoder_hid_dim_type"),
    "GLIGEN": ("sd", {UNET: {"attention_type": "gated"}}, "attention_type is 'gated'"),
    "nine channels": ("sd", {UNET: {"in_channels": 9}}, "maps 9 channels to 4"),
    "learned variance": ("sd", {UNET: {"out_channels": 8}}, "maps 4 channels to 8"),
    "another width": ("sd", {UNET: {"cross_attention_dim": 1024}}, "attends to 1024 numbers, .* give 48"),
    "a refiner": ("sdxl", {UNET: {"projection_class_embeddings_input_dim": 96}}, "give 104. A refiner"),
    "an old mistake": ("sd", {UNET: {"sample_size": 32, "_diffusers_version": "0.6.0"}}, "draws with 64"),
    "masked prompts": ("sd", {"text_encoder/config.json": {"use_attention_mask": True}}, "use_attention_mask"),
    "no length": ("sd", {"tokenizer/tokenizer_config.json": {"model_max_length": ...}}, "model_max_length is missing"),
    "the length of old": (
        "sdxl", {"tokenizer_2/tokenizer_config.json": {"model_max_length": 10**30}}, "the text encoder reads 24 tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_the_code_does_not_compute_is_refused_by_name(shapes, tmp_path, name):
    shape, changes, message = REFUSED[name]
    folder = shutil.copytree(shapes[shape], tmp_path / "model")
    require_supported(folder)
    for file, change in changes.items():
        edit(folder / file, **change)
    with pytest.raises(UserError, match=message) as caught:
        require_supported(folder)
    assert str(folder) in str(caught.value) and "Traceback" not in str(caught.value)


@pytest.mark.parametrize("saved_with", _SCHEDULERS)
@pytest.mark.parametrize("shape", ["sd", "sdxl"])
def test_what_is_accepted_is_drawn_as_diffusers_draws_it(shapes, tmp_path, project, shape, saved_with):
    folder = shutil.copytree(shapes[shape], tmp_path / "model")
    edit(folder / INDEX, scheduler=["diffusers", saved_with])
    prediction, offset = ("v_prediction", 1) if shape == "sd" else ("epsilon", 0)
    config = {
        "_class_name": saved_with, "num_train_timesteps": 200, "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "prediction_type": prediction,
    }  # fmt: skip
    (folder / SCHEDULER).write_text(json.dumps(config))
    source = Source(source=str(folder), revision=None, digest=digest_of_weights(folder))
    model = load_base_model(source, project.params.compute)
    edit(folder / INDEX, scheduler=["diffusers", "DDIMScheduler"])  # DPMSolverSDEScheduler needs a further library
    pipeline = {"sd": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline}[shape].from_pretrained(
        folder, dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    noise = draw_initial_noise(model, [5])
    for solver, kind in (("ddim", DDIMScheduler), ("dpm++", DPMSolverMultistepScheduler)):
        pipeline.scheduler = kind.from_pretrained(folder / "scheduler", clip_sample=False, steps_offset=offset)
        theirs = pipeline("a knife", latents=noise, num_inference_steps=3, guidance_scale=3, output_type="latent")
        *_, (ours, _) = denoise(
            model, noise, model.encode(["a knife"]), model.encode([""]), 
            sampler=Sampler(scheduler=solver, steps=3, guidance=3),
        )  # fmt: skip
        torch.testing.assert_close(ours, theirs.images, atol=1e-3, rtol=1e-3)
