"""Stage 6: draw every suite of one variant at seeds that all variants share, and judge it (method, section 6)."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from hfi_core.attacks.files import FIGURES, TOKENS, list_attacks
from hfi_core.compute.device import configure_torch
from hfi_core.evaluation.judging import Observers, Tokens, VariantEvaluation
from hfi_core.evaluation.shots import SEED_RULE, list_shots
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder
from hfi_core.io.json_files import read_json
from hfi_core.models.diffusion.loading import WEIGHTS, load_safeguarded_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.recipe import RECIPE
from hfi_core.pipeline.stage import StageContext

_PACKAGES = ("hfi-pipeline", "torch", "diffusers", "transformers", "tokenizers", "safetensors", "numpy", "pillow")


def run(context: StageContext) -> dict[str, float]:
    """Evaluate the variant `unit`. Pictures that lie in `work` are not drawn again."""
    # Loaded before anything is drawn: a wrong judge costs seconds, not the time of all pictures.
    observers = _load_observers(context)
    with atomic_folder(context.outputs["evaluation"]) as folder:
        work = context.work or folder / "work"
        variant = _prepare(replace(context, work=work))
        variant.draw(lambda: _load_model(context))
        variant.see(observers)
        figures = variant.write(folder, observers, _describe_provenance(context, observers))
        if not context.work:
            shutil.rmtree(work)
    return figures


def draw(context: StageContext) -> None:
    """Draw the shard's pictures that `work` lacks."""
    _load_observers(context)  # as in `run`
    _prepare(context).draw(lambda: _load_model(context), context.shard)


def see(context: StageContext) -> None:
    """Show the shard's pictures to judge and CLIP, unless `work` holds the result. All must have been drawn."""
    _prepare(context).see(_load_observers(context), context.shard)


def _load_observers(context: StageContext) -> Observers:
    configure_torch(context.params.compute)
    return Observers.load(context.params)


def _prepare(context: StageContext) -> VariantEvaluation:
    shots = list_shots(context.params, context.inputs.get("attack"))
    return VariantEvaluation(context.params, context.unit, shots, context.require_work(), context.progress)


def _load_model(context: StageContext) -> tuple[TextToImage, Tokens]:
    params, inputs = context.params, context.inputs
    tokens: dict[str, Any] = {}
    for attack in _attacks(inputs):
        if (attack / TOKENS).exists():
            tokens |= load_tokens(attack / TOKENS)
    return load_safeguarded_model(params.model, params.compute, inputs["model"]), tokens


def _attacks(inputs: Mapping[str, Path]) -> list[Path]:
    return list_attacks(inputs["attack"]) if "attack" in inputs else []


def _describe_provenance(context: StageContext, observers: Observers) -> dict[str, Any]:
    params, inputs = context.params, context.inputs
    packages = (*_PACKAGES, *getattr(observers.judge, "packages", ()))
    changed = [path for path in (inputs["model"] / WEIGHTS, inputs["model"] / RECIPE) if path.exists()]
    return {
        "row": context.unit,
        "versions": {"python": python_version()} | {name: version(name) for name in packages},
        "model": params.model.digest,
        "weights_sha256": sha256_of_file(changed[0]) if changed else None,
        "attacks": {
            attack.name: {"sha256": sha256_of_folder(attack), "figures": read_json(attack / FIGURES)}
            for attack in _attacks(inputs)
        },
        "clip": params.clip.digest,
        "clip_score_prefix": params.evaluate.clip_score_prefix,
        "judge": params.evaluate.judge.model_dump(mode="json", exclude={"source"}),
        "sampler": params.sampler.model_dump(mode="json"),
        "compute": params.compute.model_dump(mode="json"),
        "seed": params.seed,
        "seeds": SEED_RULE,
    }
