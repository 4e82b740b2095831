"""Stage 5: take the concepts out of the model; all concepts together, one removal a unit (method, section 5)."""

import shutil
from collections.abc import Mapping
from math import ceil
from pathlib import Path

import numpy as np

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.device import configure
from hfi_core.erasure.methods import METHODS, look_every
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.erasure.trainer import Look, sample_grid
from hfi_core.inversion.examples import rewarded
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.images import save_image
from hfi_core.io.json_files import write_json
from hfi_core.io.tensors import save_tensors
from hfi_core.io.training_curve import write_steps
from hfi_core.models.diffusion.loading import WEIGHTS, load_model
from hfi_core.params import NoRemoval, Params
from hfi_core.params.workload import LOOK_AT
from hfi_core.progress import Progress, no_progress


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Train the row's removal and keep the teacher's cross-attention weights; `base` keeps none."""
    spec = params.removals[unit]
    record = {
        "row": unit,
        "method": spec.method,
        "condition": getattr(spec, "condition", None),
        "base": params.model.digest,
        "concepts": list(params.concepts),
        "settings": spec.model_dump(mode="json"),
    }
    if (processes := current_group().count) > 1:
        record["processes"] = processes  # they round otherwise than one does
    with atomic_folder(outputs["model"]) as folder:
        if isinstance(spec, NoRemoval):
            write_json(folder / "removal.json", record | {"trained_parameters": 0})
            return {"trained_parameters": 0}
        configure(params.compute)
        model = load_model(params.model, params.compute)
        material = [_material(params, name, model, inputs) for name in params.concepts]
        samples = (work or folder) / "samples"
        look = _looker(params, model, material, look_every(spec), samples)
        weights, losses = METHODS[spec.method](
            model, material, spec, params, key=(params.seed, unit), work=work, look=look,
            observe=lambda done, total, what: progress(done, total, f"{unit}: {what}"),
        )  # fmt: skip
        save_tensors(folder / WEIGHTS, weights, {"base": params.model.digest, "row": unit})
        trained = sum(value.numel() for value in weights.values())
        write_json(folder / "removal.json", record | {"trained_parameters": trained})
        write_steps(folder / "steps.csv", {"loss": losses})
        if work:
            shutil.copytree(samples, folder / "samples")
    last = losses[-min(10, ceil(len(losses) / 2)) :]  # of a short curve, its second half: it began elsewhere
    return {"trained_parameters": trained, "final_loss": float(np.mean(last))}


def _material(params: Params, name: str, model, inputs: Mapping[str, Path]) -> ErasureConcept:
    return ErasureConcept(
        name=name,
        concept=params.concepts[name],
        tokens={key: value.to(model.device) for key, value in load_tokens(inputs["tokens"] / name).items()},
        objectionable=lambda: rewarded(
            model, inputs["candidates"] / name, inputs["reward"] / name, "objectionable", params.invert.top,
            params.compute.block,
        ),
    )  # fmt: skip


def _looker(params: Params, model, material: list[ErasureConcept], stride: int, folder: Path) -> Look:
    """Draws the first prompts of the concepts now and then while a removal learns."""
    prompts = [prompt for part in material for prompt in part.concept.prompts]
    conditions = model.encode([prompts[i % len(prompts)] for i in range(LOOK_AT)])

    def look(step: int, weights) -> None:
        path = folder / f"step-{step:05d}.png"
        if step % stride == 0 and not path.exists():
            save_image(path, sample_grid(model, conditions, params.sampler, weights, params.seed))

    return look
