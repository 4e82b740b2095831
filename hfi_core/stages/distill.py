"""Stage 5: take the concepts out of the model, all concepts together, one removal a unit (method, section 5)."""

import shutil
from math import ceil
from pathlib import Path

import numpy as np

from hfi_core.compute.data_parallel import current_group
from hfi_core.erasure.methods import sampling_interval
from hfi_core.erasure.recipes import make_recipe
from hfi_core.erasure.removal import learn_removal
from hfi_core.erasure.trainer import StepCallback, sample_grid
from hfi_core.erasure.words import FILE as WORDS_FILE
from hfi_core.inversion.token_pair import TokenPair
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_json
from hfi_core.io.tensors import save_tensors
from hfi_core.io.training_curve import write_training_curve
from hfi_core.models.diffusion.loading import WEIGHTS, load_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.recipe import save_recipe
from hfi_core.models.imported import read_imported
from hfi_core.models.weights import locate_pinned
from hfi_core.params import SLD, Imported, Negative, NoRemoval, Params
from hfi_core.params.workload import PICTURES_PER_SAMPLE
from hfi_core.pipeline.stage import StageContext
from hfi_core.reward.model import FittedReward


def run(context: StageContext) -> dict[str, float]:
    """Learn the removal `unit`, or read it if it is imported. Write the weights that it changed, or its recipe."""
    params, unit, work = context.params, context.unit, context.work
    spec = params.removals[unit]
    record = {
        "row": unit,
        "method": spec.method,
        "condition": getattr(spec, "condition", None),
        "base": params.model.digest,
        "concepts": list(params.concepts),
        "settings": spec.model_dump(mode="json", exclude={"source"}),  # it may be a path of this machine
    }
    if (processes := current_group().count) > 1:
        record["processes"] = processes  # several processes round differently from one
    with atomic_folder(context.outputs["model"]) as folder:
        if isinstance(spec, NoRemoval):
            write_json(folder / "removal.json", record | {"trained_parameters": 0})
            return {"trained_parameters": 0}
        if isinstance(spec, Negative | SLD):
            recipe = make_recipe(spec, params.concepts, load_tokens(context.inputs["tokens"]))
            save_recipe(folder, recipe, params.model.digest, unit)
            write_json(folder / "removal.json", record | {"trained_parameters": 0, "prompt": recipe.prompt})
            return {"trained_parameters": 0}
        if isinstance(spec, Imported):
            base = locate_pinned(params.model.source, params.model.revision, params.model.digest, "model")
            weights = read_imported(unit, spec, base)
            changed = sum(value.numel() for value in weights.values())
            save_tensors(folder / WEIGHTS, weights, {"base": params.model.digest, "row": unit})
            write_json(folder / "removal.json", record | {"trained_parameters": 0, "changed_parameters": changed})
            return {"trained_parameters": 0, "changed_parameters": changed}
        model = load_model(params)
        samples = (work or folder) / "samples"
        removal = learn_removal(
            model,
            [_load_tokens(context, name) for name in params.concepts],
            unit,
            params,
            work=work,
            before_step=_draw_samples(model, params, sampling_interval(spec), samples),
            progress=lambda done, total, what: context.progress(done, total, f"{unit}: {what}"),
        )
        save_tensors(folder / WEIGHTS, removal.weights, {"base": params.model.digest, "row": unit})
        write_json(folder / "removal.json", record | {"trained_parameters": removal.parameters})
        write_training_curve(folder / "steps.csv", {"loss": removal.losses})
        if work:
            shutil.copytree(samples, folder / "samples")
            if (work / WORDS_FILE).exists():
                shutil.copy(work / WORDS_FILE, folder / WORDS_FILE)
    # The mean of the last ten steps; of a short curve, that of its second half.
    last = removal.losses[-min(10, ceil(len(removal.losses) / 2)) :]
    return {"trained_parameters": removal.parameters, "final_loss": float(np.mean(last))}


def _load_tokens(context: StageContext, concept: str) -> TokenPair:
    inputs = context.inputs
    reward = FittedReward.load(inputs["reward"] / concept, inputs["candidates"] / concept)
    return TokenPair.load(inputs["tokens"] / concept, concept, reward)


def _draw_samples(model: TextToImage, params: Params, interval: int, folder: Path) -> StepCallback:
    """Return a callback that draws the concepts' first prompts every `interval` steps."""
    prompts = [prompt for concept in params.concepts.values() for prompt in concept.prompts]
    conditions = model.encode([prompts[i % len(prompts)] for i in range(PICTURES_PER_SAMPLE)])

    def draw(step: int, weights) -> None:
        path = folder / f"step-{step:05d}.png"
        if step % interval == 0 and not path.exists():
            save_image(path, sample_grid(model, conditions, params.sampler, weights, params.seed))

    return draw
