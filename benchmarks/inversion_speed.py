"""Measure the steps per second of an inversion, beside textual inversion as diffusers' example script trains it.

That script was not run: its loop is written here from its description (Gal et al. 2022). In every step it encodes its
pictures by the VAE again, learns the whole table of embeddings, and puts all rows but the new ones back afterwards.
Both take the same model, pictures, batch and number of vectors, in turn, in one process.
"""

import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline

from benchmarks import machine
from benchmarks.results import Figure
from hfi_core.candidates.manifest import read_manifest, read_pictures
from hfi_core.compute.batching import to_signed_tensor
from hfi_core.compute.device import configure_torch
from hfi_core.inversion.textual_inversion import InversionSettings, TrainingExamples, invert_token, make_start_vectors
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Params
from hfi_core.pipeline.layout import CANDIDATES

PICTURES = 64
STEPS = 20
REPEATS = 3


def measure() -> dict[str, Figure]:
    """Invert for a few steps by each of the two in turn, and keep the best of three runs."""
    params = machine.project_params()
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    name, concept = next(iter(params.concepts.items()))
    folder = CANDIDATES / name
    pictures = read_pictures(folder, read_manifest(folder)[:PICTURES])
    seconds: dict[str, list[float]] = {"ours": [], "script": []}
    for _ in range(REPEATS):
        seconds["ours"].append(_time_ours(model, params, concept.text, pictures))
        seconds["script"].append(_time_script(model, params, concept.text, pictures))
    figures = {f"{way}: steps per second": Figure(STEPS / min(times)) for way, times in seconds.items()}
    return figures | {"ours over the script": Figure(min(seconds["script"]) / min(seconds["ours"]))}


def _time_ours(model: TextToImage, params: Params, text: str, pictures) -> float:
    started = time.perf_counter()
    examples = TrainingExamples(
        model.encode_pictures(pictures, params.compute.block), [text] * len(pictures), torch.ones(len(pictures))
    )
    start = make_start_vectors(model, text, params.invert.vectors, "benchmark")
    # The script has no contrast; with it, a step has as many pictures.
    settings = replace(InversionSettings.of(params.invert, STEPS), contrast=0.0)
    invert_token(model, examples, text, "<benchmark>", start, settings, key=("benchmark",))
    return time.perf_counter() - started


def _time_script(model: TextToImage, params: Params, text: str, pictures) -> float:
    started = time.perf_counter()
    spec = params.invert
    pipeline = StableDiffusionPipeline.from_pretrained(model.folder, dtype=model.dtype).to(model.device)
    tokenizer, encoder, unet, vae = pipeline.tokenizer, pipeline.text_encoder, pipeline.unet, pipeline.vae
    names = [f"<new-{number}>" for number in range(spec.vectors)]
    tokenizer.add_tokens(names)
    encoder.resize_token_embeddings(len(tokenizer))
    for network in (unet, vae, encoder):
        network.requires_grad_(False)
    table = encoder.get_input_embeddings().weight.requires_grad_(True)
    new = tokenizer.convert_tokens_to_ids(names)
    with torch.no_grad():
        table[new] = table[tokenizer.encode(text, add_special_tokens=False)[0]].clone()
    kept = table.detach().clone()
    frozen = torch.ones(len(table), dtype=torch.bool)
    frozen[new] = False
    ids = tokenizer(
        [f"a {' '.join(names)}"] * spec.batch, padding="max_length", max_length=tokenizer.model_max_length,
        truncation=True, return_tensors="pt",
    ).input_ids.to(model.device)  # fmt: skip
    optimizer = torch.optim.AdamW([table], lr=spec.rate)
    pixels = to_signed_tensor(pictures)
    for step in range(STEPS):
        rows = torch.randint(0, len(pixels), (spec.batch,), generator=torch.Generator().manual_seed(step))
        with torch.no_grad():
            x0 = vae.encode(pixels[rows].to(model.device, model.dtype)).latent_dist.sample()
            x0 = x0 * vae.config.scaling_factor
        eps = torch.randn_like(x0)
        t = torch.randint(0, len(model.schedule.alpha_bar), (spec.batch,), device=model.device)
        x_t = pipeline.scheduler.add_noise(x0, eps, t)
        loss = F.mse_loss(unet(x_t, t, encoder(ids)[0]).sample.float(), eps.float())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            table[frozen] = kept[frozen]
    return time.perf_counter() - started
