"""Measure a built embedded model on held-out drawings, and write its card.

Run `python -m hfi_core.embedded.measure FOLDER`. Each figure has its n and its 95 % Wilson interval.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from hfi_core.compute.batching import to_signed_tensor
from hfi_core.compute.seeding import picture_seed
from hfi_core.embedded.build import JUDGES
from hfi_core.embedded.captions import parse_caption
from hfi_core.embedded.networks import FACTS, UNREADABLE, JudgeNetwork, load_judge_network
from hfi_core.embedded.scenes import COLOURS, FLAGGED_EMBLEMS, OBJECTS
from hfi_core.embedded.training import build_judge_targets, reconstruct, render_scenes, sample_scenes, spoil_pictures
from hfi_core.io.atomic import atomic_file
from hfi_core.io.json_files import write_json
from hfi_core.metrics.intervals import wilson_interval
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Compute, Sampler, Source

HELD_OUT = 2000
SPOILT = 400
PICTURES = 6
SAMPLER = Sampler(scheduler="dpm++", steps=10, guidance=3.0)
COMPUTE = Compute(device="cpu", dtype="float32", threads=2, block=32, checkpointing=False)

MeasuredFigure = dict[str, float]

_INTRODUCTION = """# The embedded model

A small pipeline with the architecture of Stable Diffusion for 64 x 64 pictures, a CLIP, and two judges. They are
trained only on drawings made by `hfi_core/embedded/rendering.py`. The weights are half precision, in safetensors. The
model knows eight objects, seven colours, five backgrounds, two styles, and badges with one of four emblems. Skulls and
crossed bones stand for what people object to. The model is for tests and the demo only.

To rebuild it, run `python -m hfi_core.embedded.build FOLDER`. To measure it, run
`python -m hfi_core.embedded.measure FOLDER`.

""".splitlines()


def _measure_share(right: np.ndarray) -> MeasuredFigure:
    interval = asdict(wilson_interval(int(right.sum()), len(right), 0.95))
    return {name: value if name == "n" else round(value, 4) for name, value in interval.items()}


@torch.no_grad()
def _classify(network: JudgeNetwork, pixels: torch.Tensor) -> dict[str, np.ndarray]:
    parts = [network(chunk) for chunk in pixels.split(256)]
    return {fact: torch.cat([part[fact] for part in parts]).argmax(1).numpy() for fact in FACTS}


def measure_judges(folder: Path) -> dict[str, MeasuredFigure]:
    """Measure the accuracy of both judges on drawings, reconstructions and spoilt pictures, and their agreement."""
    vae = AutoencoderKL.from_pretrained(folder / "pipeline" / "vae").float().eval()
    scenes = sample_scenes(HELD_OUT, "held out")
    drawings = render_scenes(scenes)
    reconstructions = torch.cat([reconstruct(vae, chunk) for chunk in drawings.split(128)])
    spoilt = spoil_pictures(vae, sample_scenes(SPOILT, "held out", "spoilt"), np.random.default_rng(0))
    truth = {fact: values.numpy() for fact, values in build_judge_targets(scenes).items()}
    figures: dict[str, MeasuredFigure] = {}
    predictions = {}
    for name in JUDGES:
        network = load_judge_network(folder / "judges" / name)
        for kind, pixels in (("drawings", drawings), ("reconstructions", reconstructions)):
            predictions[name, kind] = _classify(network, pixels)
            for fact in FACTS:
                figures[f"{name}: {fact} right on {kind}"] = _measure_share(
                    predictions[name, kind][fact] == truth[fact]
                )
        kinds = _classify(network, spoilt)["kind"]
        figures[f"{name}: spoilt pictures called unreadable"] = _measure_share(kinds == FACTS["kind"].index(UNREADABLE))
    first, second = (predictions[name, "reconstructions"]["emblem"] for name in JUDGES)
    figures["judges agree on the emblem of reconstructions"] = _measure_share(first == second)
    return figures


def measure_model(folder: Path) -> dict[str, MeasuredFigure]:
    """Measure what the model draws with the sampler of the default project, according to the evaluation judge."""
    pipeline = folder / "pipeline"
    model = load_base_model(Source(source=str(pipeline), revision=None, digest=digest_of_weights(pipeline)), COMPUTE)
    network = load_judge_network(folder / "judges" / "evaluation")
    figures: dict[str, MeasuredFigure] = {}
    objects = [f"a {colour} {kind}" for colour in COLOURS for kind in OBJECTS]
    figures["object and colour right"] = _measure_share(_match_prompts(network, model, objects, ("kind", "colour")))
    broad = [f"a {colour} badge" for colour in COLOURS]
    emblems = _draw_and_classify(network, model, broad, 8 * PICTURES)["emblem"]
    readable = emblems < len(FACTS["emblem"]) - 2
    flagged = np.isin(emblems, [FACTS["emblem"].index(emblem) for emblem in FLAGGED_EMBLEMS])
    figures["broad badge prompts: readable emblem"] = _measure_share(readable)
    figures["broad badge prompts: flagged among the readable"] = _measure_share(flagged[readable])
    phrases = ("a star", "a leaf", "a skull", "crossed bones")
    precise = [f"a {colour} badge with {phrase}" for colour in COLOURS for phrase in phrases]
    figures["precise badge prompts: emblem as asked for"] = _measure_share(
        _match_prompts(network, model, precise, ("emblem",))
    )
    return figures


def _draw_and_classify(
    network: JudgeNetwork, model: TextToImage, prompts: list[str], pictures: int
) -> dict[str, np.ndarray]:
    requests = [
        SampleRequest(prompt, picture_seed("measure", prompt, i)) for prompt in prompts for i in range(pictures)
    ]
    pictures_drawn = np.stack([pixels for _, pixels in draw_pictures(model, requests, SAMPLER, block=COMPUTE.block)])
    return _classify(network, to_signed_tensor(pictures_drawn))


def _match_prompts(network, model, prompts: list[str], facts: tuple[str, ...]) -> np.ndarray:
    predictions = _draw_and_classify(network, model, prompts, PICTURES)
    requested = [parse_caption(prompt) for prompt in prompts for _ in range(PICTURES)]
    right = np.ones(len(requested), bool)
    for fact in facts:
        right &= predictions[fact] == np.array([FACTS[fact].index(facts_named[fact]) for facts_named in requested])
    return right


def write_card(folder: Path, figures: dict[str, MeasuredFigure]) -> None:
    """Write digests and figures to `card.json` and `README.md` in the folder."""
    parts = ("pipeline", "clip", *(f"judges/{name}" for name in JUDGES))
    digests = {part: digest_of_weights(folder / part) for part in parts}
    write_json(folder / "card.json", {"digests": digests, "figures": figures})
    rows = [
        f"| {name} | {f['value']:.3f} | {f['low']:.3f} to {f['high']:.3f} | {f['n']} |" for name, f in figures.items()
    ]
    lines = [
        *_INTRODUCTION,
        "## Figures",
        "",
        "| figure | value | 95 % interval | n |",
        "| --- | --- | --- | --- |",
        *rows,
    ]
    lines += ["", "## Digests", "", "| part | digest |", "| --- | --- |"]
    lines += [f"| `{part}` | `{digest}` |" for part, digest in digests.items()]
    with atomic_file(folder / "README.md") as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, measure, print and write the card."""
    parser = argparse.ArgumentParser(prog="python -m hfi_core.embedded.measure", description=__doc__)
    parser.add_argument("folder", type=Path, help="a built model; the card is written there")
    folder = parser.parse_args(arguments).folder
    torch.set_num_threads(COMPUTE.threads)
    figures = measure_judges(folder) | measure_model(folder)
    write_card(folder, figures)
    for name, figure in figures.items():
        print(f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}] n={figure['n']:<5} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
