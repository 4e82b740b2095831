"""Build the embedded model from scratch: `python -m hfi_core.embedded.build FOLDER` (about two hours on 2 cores).

FOLDER/work holds each network's training state, so a build that was stopped continues where it stopped.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from transformers import CLIPProcessor, CLIPTextModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from hfi_core.compute.training_loop import Observer
from hfi_core.embedded import training
from hfi_core.embedded.networks import WEIGHTS, JudgeNetwork, build_scheduler, save_judge_network
from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import BADGES, WORLDS, World
from hfi_core.embedded.tokenizer import build_tokenizer
from hfi_core.embedded.training import CONTINUED, Budget
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_folder
from hfi_core.models.weights import locate_weights

JUDGES = ("annotators", "evaluation")


def _make_reporter(name: str, steps: int) -> Observer:
    started, first, mean = time.monotonic(), None, 0.0

    def observe(step: int, values: dict[str, float]) -> None:
        nonlocal first, mean
        first = step if first is None else first
        mean = values["loss"] if step == first else 0.98 * mean + 0.02 * values["loss"]
        if (step + 1) % 50 == 0 or step + 1 == steps:
            left = (time.monotonic() - started) / (step + 1 - first) * (steps - step - 1)
            print(f"{name} {step + 1}/{steps} loss {mean:.4f} about {left / 60:.1f} min left", flush=True)

    return observe


def _to_half(module: torch.nn.Module) -> torch.nn.Module:
    return module.half().eval()


def _load_vae(folder: Path) -> AutoencoderKL:
    vae = AutoencoderKL.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
    vae.register_to_config(_name_or_path="")  # keep the path of this build out of the saved configuration
    return vae


def build(folder: Path, budget: Budget, world: World = BADGES, start: Path | None = None) -> None:
    """Train the networks that are missing in `folder`, and write `pipeline`, `clip` and `judges` below it.

    The VAE, the text encoder and the UNet begin with those of the pipeline in `start`. CLIP and the judges never do.
    """
    work = folder / "work"
    tokenizer = build_tokenizer(world)
    other = StableDiffusionPipeline.from_pretrained(start, dtype=torch.float32) if start else None

    vae_folder = work / "vae"
    if not vae_folder.exists():
        vae = training.train_vae(world, budget, work, _make_reporter("vae", budget.vae), other and other.vae)
        with atomic_folder(vae_folder) as beside:
            vae.save_pretrained(beside)
    vae = _load_vae(vae_folder)

    pipeline_folder = folder / "pipeline"
    if not pipeline_folder.exists():
        unet, text_encoder = training.train_denoiser(world, budget, vae, tokenizer, work, _make_reporter, other)
        write_pipeline(pipeline_folder, vae, text_encoder, tokenizer, unet)
    # Train the other networks with the rounded VAE that is shipped, even if this run has just trained the exact one.
    vae = _load_vae(pipeline_folder / "vae")

    clip_folder = folder / "clip"
    if not clip_folder.exists():
        clip = training.train_clip(world, budget, vae, tokenizer, work, _make_reporter("clip", budget.clip))
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": SIZE}, crop_size=SIZE, image_mean=[0.5] * 3, image_std=[0.5] * 3
        )
        with atomic_folder(clip_folder) as beside:
            _to_half(clip).save_pretrained(beside)
            CLIPProcessor(processor, tokenizer).save_pretrained(beside)

    for name in JUDGES:
        path = folder / "judges" / name / WEIGHTS
        if not path.exists():
            judge: JudgeNetwork = training.train_judge(
                world, budget, vae, name, work, _make_reporter(f"judge {name}", budget.judge)
            )
            save_judge_network(path, judge)


def write_pipeline(folder: Path, vae, text_encoder: CLIPTextModel, tokenizer, unet) -> None:
    """Write the networks as a diffusers folder in half precision."""
    pipeline = StableDiffusionPipeline(
        vae=_to_half(vae), text_encoder=_to_half(text_encoder), tokenizer=tokenizer, unet=_to_half(unet),
        scheduler=build_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    with atomic_folder(folder) as beside:
        pipeline.save_pretrained(beside, safe_serialization=True)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(prog="python -m hfi_core.embedded.build", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to build the model in")
    parser.add_argument("--world", choices=sorted(WORLDS), default=BADGES.name, help="what the pictures show")
    parser.add_argument(
        "--start",
        metavar="PIPELINE",
        help="begin with another world's pipeline: a folder, or `embedded`, the package's",
    )
    parser.add_argument("--miniature", action="store_true", help="train each network for a few steps only, for tests")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        start = locate_weights(options.start, None, "model") if options.start else None
    except UserError as error:
        parser.error(f"--start: {error}")
    whole = CONTINUED if start else Budget()
    build(options.folder, training.MINIATURE if options.miniature else whole, WORLDS[options.world], start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
