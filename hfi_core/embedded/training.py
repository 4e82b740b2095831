"""Train the networks of the embedded model on drawings, one network a function. Training is seeded and resumable."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image, ImageFilter
from transformers import CLIPTextModel, CLIPTokenizer

from hfi_core.compute.batching import to_signed_tensor
from hfi_core.compute.device import has_instructions
from hfi_core.compute.seeding import numpy_generator, torch_generator
from hfi_core.compute.training_loop import Checkpoint, Observer, ParameterGroup, cosine_decay, fit
from hfi_core.embedded.captions import write_caption
from hfi_core.embedded.networks import (
    NO_EMBLEM,
    UNREADABLE,
    WIDTHS,
    JudgeNetwork,
    build_clip,
    build_scheduler,
    build_text_encoder,
    build_unet,
    build_vae,
    list_facts,
)
from hfi_core.embedded.rendering import render_scene
from hfi_core.embedded.scenes import Scene, World, sample_scene


def _autocast() -> AbstractContextManager:
    """Compute in bfloat16 where the processor has instructions for it; elsewhere it takes many times as long."""
    return torch.autocast("cpu", torch.bfloat16, enabled=has_instructions(torch.device("cpu"), torch.bfloat16))


@dataclass(frozen=True)
class Budget:
    """Size of a build: gradient steps of each network, pictures a step, training pictures, channels of the UNet."""

    vae: int = 1300
    denoiser: int = 12_000
    refinement: int = 9000
    clip: int = 2000
    judge: int = 1000
    batch: int = 64
    drawings: int = 48_000
    reconstructions: int = 6_000
    widths: tuple[int, int, int] = WIDTHS


CONTINUED = Budget(vae=300, denoiser=3000, refinement=3000)
"""Of a world that begins with the networks of another one."""

MINIATURE = Budget(
    vae=3, denoiser=3, refinement=3, clip=3, judge=3, batch=8, drawings=16, reconstructions=16, widths=(16, 32, 32)
)


def sample_scenes(world: World, count: int, *key: object) -> list[Scene]:
    """Sample scenes for one purpose. Different keys give different scenes."""
    rng = numpy_generator("scenes", world.name, *key)
    return [sample_scene(world, rng) for _ in range(count)]


def render_scenes(world: World, scenes: list[Scene]) -> torch.Tensor:
    """Draw scenes as a tensor (B, 3, 64, 64) in [-1, 1]."""
    return to_signed_tensor(np.stack([render_scene(world, scene) for scene in scenes]))


def tokenize_texts(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Return padded token ids (B, L)."""
    return tokenizer(
        texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    """Encode and decode pictures (B, 3, 64, 64) with the VAE."""
    return vae.decode(vae.encode(pixels).latent_dist.mean).sample.clamp(-1, 1)


@dataclass(frozen=True)
class _Pool:
    """Reconstructions of drawings by the VAE. They are slow to make, so they are made once and sampled many times."""

    scenes: list[Scene]
    pixels: torch.Tensor

    def sample(self, count: int, rng: np.random.Generator) -> tuple[list[Scene], torch.Tensor]:
        rows = rng.integers(0, len(self.scenes), count)
        return [self.scenes[row] for row in rows], self.pixels[rows].float()


def _make_pool(world: World, vae: AutoencoderKL, count: int, *key: object) -> _Pool:
    scenes = sample_scenes(world, count, "reconstructions", *key)
    parts = [
        reconstruct(vae, render_scenes(world, scenes[start : start + 128])).half() for start in range(0, count, 128)
    ]
    return _Pool(scenes, torch.cat(parts))


def _fit(modules: list[tuple[torch.nn.Module, float]], loss, steps: int, folder: Path, name: str, observe: Observer):
    """Train modules with a cosine schedule, and replace their weights by the moving average."""
    groups = [
        ParameterGroup({f"{i}.{n}": p for n, p in module.named_parameters()}, rate)
        for i, (module, rate) in enumerate(modules)
    ]
    named = {n: p for group in groups for n, p in group.parameters.items()}
    average = {n: p.detach().clone() for n, p in named.items()}
    for module, _ in modules:
        module.train()
    fit(
        groups, loss, steps=steps, schedule=lambda step, total: min(1.0, (step + 1) / 50) * cosine_decay(step, total),
        weight_decay=1e-4, average=average, decay=0.998, checkpoint=Checkpoint(folder / f"{name}.checkpoint", 250),
        observe=observe, autocast=_autocast,
    )  # fmt: skip
    with torch.no_grad():
        for n, p in named.items():
            p.copy_(average[n])
    for module, _ in modules:
        module.eval()


def train_vae(
    world: World, budget: Budget, folder: Path, observe: Observer, start: AutoencoderKL | None = None
) -> AutoencoderKL:
    """Train the VAE on squared and absolute error with a small KL term, and set the scaling factor of its latents.

    It begins with the weights of `start`, where that is given.
    """
    torch.manual_seed(0)
    vae = build_vae().to(memory_format=torch.channels_last)
    if start is not None:
        vae.load_state_dict(start.state_dict())

    def loss(step: int) -> torch.Tensor:
        pixels = render_scenes(world, sample_scenes(world, budget.batch // 2, "vae", step)).contiguous(
            memory_format=torch.channels_last
        )
        posterior = vae.encode(pixels).latent_dist
        latents = posterior.sample(torch_generator("vae", step))
        error = vae.decode(latents).sample.float() - pixels
        return error.square().mean() + 0.1 * error.abs().mean() + 1e-6 * posterior.kl().mean()

    _fit([(vae, 2e-3)], loss, budget.vae, folder, "vae", observe)
    with torch.no_grad():
        latents = vae.encode(render_scenes(world, sample_scenes(world, budget.batch, "vae scale"))).latent_dist.mean
    vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 4))
    return vae


def encode_drawings(world: World, vae: AutoencoderKL, scenes: list[Scene]) -> torch.Tensor:
    """Encode drawings as scaled latents (N, 4, 16, 16) in half precision."""
    parts = []
    with torch.no_grad(), _autocast():
        for start in range(0, len(scenes), 256):
            mean = vae.encode(render_scenes(world, scenes[start : start + 256])).latent_dist.mean
            parts.append((mean.float() * vae.config.scaling_factor).half())
    return torch.cat(parts)


def _copy_text_encoder(start: StableDiffusionPipeline, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> None:
    """Copy all weights; of the embeddings, those of the words that both worlds know."""
    known, table = start.tokenizer.get_vocab(), "embeddings.token_embedding.weight"
    learned = text_encoder.state_dict()
    for name, tensor in start.text_encoder.state_dict().items():
        if not name.endswith(table):
            learned[name].copy_(tensor)
        else:
            shared = [(row, known[word]) for word, row in tokenizer.get_vocab().items() if word in known]
            learned[name][[row for row, _ in shared]] = tensor[[row for _, row in shared]].float()


MAX_WEIGHT = 20.0
"""Largest weight of a timestep in the refinement, before all are divided by their mean."""


def weigh_timesteps(alpha_bar: torch.Tensor) -> torch.Tensor:
    """Return the weight of each timestep (T,) that turns an error of eps into one of v (Salimans & Ho 2022), capped.

    v's error is eps's divided by the square root of alpha-bar. Colour and layout are decided where the noise is strong,
    and there eps's own loss hardly sees an error.
    """
    weights = (1 / alpha_bar).clamp(max=MAX_WEIGHT)
    return weights / weights.mean()


def train_denoiser(
    world: World,
    budget: Budget,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    folder: Path,
    make_observer: Callable[[str, int], Observer],
    start: StableDiffusionPipeline | None = None,
):
    """Train UNet and text encoder together; return both.

    First on the noise-prediction loss (Ho et al. 2020, eq. 14), then on the same loss with `weigh_timesteps`.
    They begin with the weights of `start`, where that is given.
    """
    torch.manual_seed(1)
    unet, text_encoder = build_unet(budget.widths), build_text_encoder(tokenizer)
    if start is not None:
        unet.load_state_dict(start.unet.state_dict())
        _copy_text_encoder(start, tokenizer, text_encoder)
    unet.set_attn_processor(AttnProcessor())  # the fused kernel's backward pass is four times slower on a CPU
    scenes = sample_scenes(world, budget.drawings, "denoiser")
    latents = encode_drawings(world, vae, scenes)
    scheduler = build_scheduler()
    equal = torch.ones_like(scheduler.alphas_cumprod)

    def loss(name: str, weights: torch.Tensor, step: int) -> torch.Tensor:
        rng, generator = numpy_generator(name, step), torch_generator(name, step)
        rows = rng.integers(0, len(scenes), budget.batch)
        x0 = latents[rows].float()
        eps = torch.randn(x0.shape, generator=generator)
        t = torch.randint(0, scheduler.config.num_train_timesteps, (len(rows),), generator=generator)
        x_t = scheduler.add_noise(x0, eps, t)
        texts = [write_caption(world, scenes[row], rng) for row in rows]
        condition = text_encoder(tokenize_texts(tokenizer, texts))[0]
        errors = (unet(x_t, t, condition).sample.float() - eps).square().mean(dim=(1, 2, 3))
        return (weights[t] * errors).mean()

    for name, steps, rate, weights in (
        ("denoiser", budget.denoiser, 1e-3, equal),
        ("refinement", budget.refinement, 5e-4, weigh_timesteps(scheduler.alphas_cumprod)),
    ):
        learned = [(unet, rate), (text_encoder, 2 * rate)]
        _fit(learned, partial(loss, name, weights), steps, folder, name, make_observer(name, steps))
    return unet, text_encoder


def train_clip(
    world: World, budget: Budget, vae: AutoencoderKL, tokenizer: CLIPTokenizer, folder: Path, observe: Observer
):
    """Train CLIP on drawings and reconstructions with the contrastive loss (Radford et al. 2021).

    Pictures with the same caption are all positives of this caption.
    """
    torch.manual_seed(2)
    clip = build_clip(tokenizer)
    pool = _make_pool(world, vae, budget.reconstructions, "clip")

    def loss(step: int) -> torch.Tensor:
        rng = numpy_generator("clip", step)
        new = sample_scenes(world, budget.batch, "clip", step)
        reused, reconstructed = pool.sample(budget.batch, rng)
        scenes, pixels = new + reused, torch.cat([render_scenes(world, new), reconstructed])
        ids = tokenize_texts(tokenizer, [write_caption(world, scene, rng) for scene in scenes])
        output = clip(input_ids=ids, pixel_values=pixels)
        same = (ids[:, None] == ids[None]).all(-1).float()
        target = same / same.sum(1, keepdim=True)
        logits = output.logits_per_image.float()
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    _fit([(clip, 1e-3)], loss, budget.clip, folder, "clip", observe)
    return clip


def build_judge_targets(world: World, scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Return class indices (B,) by fact, and style strengths (B, 2)."""
    values = {
        "kind": [s.kind for s in scenes],
        "colour": [s.colour for s in scenes],
        "background": [s.background for s in scenes],
        "emblem": [s.emblem or NO_EMBLEM for s in scenes],
    }
    facts = list_facts(world)
    targets = {fact: torch.tensor([facts[fact].index(v) for v in column]) for fact, column in values.items()}
    targets["strength"] = torch.tensor(
        [[s.strength if s.style == style else 0.0 for style in world.styles] for s in scenes]
    )
    return targets


def _blend(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    share = torch.from_numpy(rng.uniform(0.4, 0.6, (len(pixels), 1, 1, 1))).float()
    return share * pixels + (1 - share) * pixels.roll(1, 0)


def _blur(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    def blur(picture: torch.Tensor) -> torch.Tensor:
        image = Image.fromarray(((picture.permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8))
        return torch.from_numpy(np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(4.5, 8))), np.float32))

    return torch.stack([blur(picture) for picture in pixels]).permute(0, 3, 1, 2) / 127.5 - 1


def _flatten_colours(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    colour = torch.from_numpy(rng.uniform(-1, 1, (len(pixels), 3, 1, 1))).float()
    return (colour + 0.05 * pixels).clamp(-1, 1)


@torch.no_grad()
def _noise_latents(vae: AutoencoderKL, pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    latents = vae.encode(pixels).latent_dist.mean
    noise = torch.from_numpy(rng.normal(0, 1, tuple(latents.shape))).float() / vae.config.scaling_factor
    share = torch.from_numpy(rng.uniform(0.75, 1, (len(pixels), 1, 1, 1))).float()
    return vae.decode((1 - share**2).sqrt() * latents + share * noise).sample.clamp(-1, 1)


def spoil_pictures(world: World, vae: AutoencoderKL, scenes: list[Scene], rng: np.random.Generator) -> torch.Tensor:
    """Make pictures whose kind and emblem are unreadable: a quarter each blended, blurred, flat, and noisy."""
    order = np.argsort([s.emblem or s.kind for s in scenes], kind="stable")
    # Interleave the halves of the sorted order, so that different pictures are neighbours and no blend is clean.
    pixels = render_scenes(world, [scenes[i] for i in order.reshape(2, -1).T.ravel()])
    blended, blurred, flat, noised = pixels.chunk(4)
    return torch.cat(
        [_blend(blended, rng), _blur(blurred, rng), _flatten_colours(flat, rng), _noise_latents(vae, noised, rng)]
    )


def smear_emblems(world: World, scenes: list[Scene], rng: np.random.Generator) -> torch.Tensor:
    """Make readable badges with an unreadable emblem, a blend of two emblems."""
    others = [replace(s, emblem=str(rng.choice([e for e in world.emblems if e != s.emblem]))) for s in scenes]
    pixels, other = render_scenes(world, scenes), render_scenes(world, others)
    share = torch.from_numpy(rng.uniform(0.4, 0.6, (len(pixels), 1, 1, 1))).float()
    return share * pixels + (1 - share) * other


def _unreadable_targets(world: World, fact: str, count: int) -> torch.Tensor:
    return torch.full((count,), list_facts(world)[fact].index(UNREADABLE))


def train_judge(
    world: World, budget: Budget, vae: AutoencoderKL, name: str, folder: Path, observe: Observer
) -> JudgeNetwork:
    """Train a judge on the facts of drawings and reconstructions, and on *unreadable* for spoilt pictures."""
    torch.manual_seed(3 if name == "evaluation" else 4)
    judge = JudgeNetwork(world)
    pool = _make_pool(world, vae, budget.reconstructions, "judge", name)

    def loss(step: int) -> torch.Tensor:
        rng = numpy_generator("judge", name, step)
        new = sample_scenes(world, budget.batch, "judge", name, step)
        reused, reconstructed = pool.sample(budget.batch, rng)
        scenes, pixels = new + reused, torch.cat([render_scenes(world, new), reconstructed])
        others = sample_scenes(world, budget.batch, "judge", name, step, "spoilt")
        smeared_scenes = [s for s in others[budget.batch // 2 :] if s.emblem]
        spoilt = spoil_pictures(world, vae, others[: budget.batch // 2], rng)
        smeared = smear_emblems(world, smeared_scenes, rng) if smeared_scenes else spoilt[:0]
        pixels = torch.cat([pixels, smeared, spoilt])
        output = judge(pixels + 0.03 * torch.from_numpy(rng.normal(size=pixels.shape)).float())
        targets = build_judge_targets(world, scenes + smeared_scenes)
        targets["kind"] = torch.cat([targets["kind"], _unreadable_targets(world, "kind", len(spoilt))])
        unreadable = _unreadable_targets(world, "emblem", len(smeared) + len(spoilt))
        targets["emblem"] = torch.cat([targets["emblem"][: len(scenes)], unreadable])
        total = 2 * F.mse_loss(output["strength"][: len(targets["strength"])].float(), targets["strength"])
        for fact in judge.facts:
            target = targets[fact]
            total = total + F.cross_entropy(output[fact][: len(target)].float(), target, label_smoothing=0.02)
        return total

    _fit([(judge, 2e-3)], loss, budget.judge, folder, f"judge-{name}", observe)
    return judge
