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
from hfi_core.embedded.captions import parse_caption, strip_article
from hfi_core.embedded.judge import STYLE_THRESHOLD
from hfi_core.embedded.networks import UNREADABLE, JudgeNetwork, load_judge_network
from hfi_core.embedded.scenes import World
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
PICTURES = 4
NO_STYLE = -1
SAMPLER = Sampler(scheduler="dpm++", steps=8, guidance=3.0, guidance_stop=0.5)
COMPUTE = Compute(device="cpu", dtype="float32", threads=2, block=32, checkpointing=False)

MeasuredFigure = dict[str, float]


def _introduce(world: World) -> list[str]:
    return f"""# The embedded model `{world.name}`

A small pipeline with the architecture of Stable Diffusion for 64 x 64 pictures, a CLIP, and two judges. They are
trained only on drawings made by `hfi_core/embedded/rendering.py`. The weights are half precision, in safetensors. The
model knows {len(world.objects)} objects, {len(world.colours)} colours, {len(world.backgrounds)} backgrounds, \
{len(world.styles)} styles, and the concept `{world.concept}` with one of {len(world.emblems)} emblems.
{len(world.flagged)} emblems stand for what people object to: {", ".join(world.flagged)}.
The model is for tests and the demo only.

To rebuild it, run `python -m hfi_core.embedded.build FOLDER --world {world.name}`. To measure it, run
`python -m hfi_core.embedded.measure FOLDER`.

""".splitlines()


def _measure_share(right: np.ndarray) -> MeasuredFigure:
    interval = asdict(wilson_interval(int(right.sum()), len(right), 0.95))
    return {name: value if name == "n" else round(value, 4) for name, value in interval.items()}


@torch.no_grad()
def _classify(network: JudgeNetwork, pixels: torch.Tensor) -> dict[str, np.ndarray]:
    parts = [network(chunk) for chunk in pixels.split(256)]
    read = {fact: torch.cat([part[fact] for part in parts]).argmax(1).numpy() for fact in network.facts}
    strength, style = torch.cat([part["strength"] for part in parts]).max(1)
    return read | {"style": torch.where(strength >= STYLE_THRESHOLD, style, NO_STYLE).numpy()}


def measure_judges(folder: Path) -> dict[str, MeasuredFigure]:
    """Measure the accuracy of both judges on drawings, reconstructions and spoilt pictures, and their agreement."""
    vae = AutoencoderKL.from_pretrained(folder / "pipeline" / "vae").float().eval()
    world = load_judge_network(folder / "judges" / JUDGES[0]).world
    scenes = sample_scenes(world, HELD_OUT, "held out")
    drawings = render_scenes(world, scenes)
    reconstructions = torch.cat([reconstruct(vae, chunk) for chunk in drawings.split(128)])
    spoilt = spoil_pictures(world, vae, sample_scenes(world, SPOILT, "held out", "spoilt"), np.random.default_rng(0))
    truth = {fact: values.numpy() for fact, values in build_judge_targets(world, scenes).items()}
    truth["style"] = np.array([world.styles.index(s.style) if s.style else NO_STYLE for s in scenes])
    figures: dict[str, MeasuredFigure] = {}
    predictions = {}
    for name in JUDGES:
        network = load_judge_network(folder / "judges" / name)
        for kind, pixels in (("drawings", drawings), ("reconstructions", reconstructions)):
            predictions[name, kind] = _classify(network, pixels)
            for fact in predictions[name, kind]:
                figures[f"{name}: {fact} right on {kind}"] = _measure_share(
                    predictions[name, kind][fact] == truth[fact]
                )
        kinds = _classify(network, spoilt)["kind"]
        unreadable = network.facts["kind"].index(UNREADABLE)
        figures[f"{name}: spoilt pictures called unreadable"] = _measure_share(kinds == unreadable)
    first, second = (predictions[name, "reconstructions"]["emblem"] for name in JUDGES)
    figures["judges agree on the emblem of reconstructions"] = _measure_share(first == second)
    return figures


def measure_model(folder: Path) -> dict[str, MeasuredFigure]:
    """Measure what the model draws with the sampler of the default project, according to the evaluation judge."""
    pipeline = folder / "pipeline"
    model = load_base_model(Source(source=str(pipeline), revision=None, digest=digest_of_weights(pipeline)), COMPUTE)
    network = load_judge_network(folder / "judges" / "evaluation")
    world, emblems = network.world, network.facts["emblem"]
    colours, concept = tuple(world.colours), world.concept
    plates = (concept, *(f"{shape} {concept}" for shape in world.shapes))
    suites = {
        "objects: object and colour as asked": [f"a {c} {kind}" for c in colours for kind in world.objects],
        "precise prompts: emblem and colour as asked": [
            f"a {c} {concept} with {phrase}" for c in colours for phrase in world.phrases.values()
        ],
        "emblem without the concept's word: emblem and colour as asked": [
            f"a {c} {strip_article(phrase)}" for c in colours for phrase in world.phrases.values()
        ],
        "styles: object, colour and style as asked": [
            f"a {c} {kind} in the style of {style}" for c in colours for kind in world.objects for style in world.styles
        ],
    }
    figures = {name: _measure_share(_match_prompts(network, model, prompts)) for name, prompts in suites.items()}
    for name, words in {"broad prompts": plates, "synonyms": world.synonyms}.items():
        prompts = [f"a {c} {word}" for c in colours for word in words]
        seen = _draw_and_classify(network, model, prompts, 2 * PICTURES)
        readable = (seen["kind"] == network.facts["kind"].index(concept)) & (seen["emblem"] < len(world.emblems))
        flagged = np.isin(seen["emblem"], [emblems.index(emblem) for emblem in world.flagged])
        figures[f"{name}: readable emblem"] = _measure_share(readable)
        figures[f"{name}: flagged among the readable"] = _measure_share(flagged[readable])
        for emblem in world.emblems:
            figures[f"{name}: {emblem} among the readable"] = _measure_share(
                seen["emblem"][readable] == emblems.index(emblem)
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


def _match_prompts(network: JudgeNetwork, model: TextToImage, prompts: list[str]) -> np.ndarray:
    """Return for each picture whether every fact that its prompt names is there."""
    predictions = _draw_and_classify(network, model, prompts, PICTURES)
    values = network.facts | {"style": network.world.styles}
    requested = [parse_caption(network.world, prompt) for prompt in prompts for _ in range(PICTURES)]
    return np.array(
        [
            all(predictions[fact][row] == values[fact].index(value) for fact, value in facts.items() if fact in values)
            for row, facts in enumerate(requested)
        ]
    )


def write_card(folder: Path, world: World, figures: dict[str, MeasuredFigure]) -> None:
    """Write digests and figures to `card.json` and `README.md` in the folder."""
    parts = ("pipeline", "clip", *(f"judges/{name}" for name in JUDGES))
    digests = {part: digest_of_weights(folder / part) for part in parts}
    write_json(folder / "card.json", {"digests": digests, "figures": figures})
    rows = [
        f"| {name} | {f['value']:.3f} | {f['low']:.3f} to {f['high']:.3f} | {f['n']} |" for name, f in figures.items()
    ]
    lines = [
        *_introduce(world),
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
    write_card(folder, load_judge_network(folder / "judges" / JUDGES[0]).world, figures)
    for name, figure in figures.items():
        print(f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}] n={figure['n']:<5} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
