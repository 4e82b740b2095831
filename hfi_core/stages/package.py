"""Stage 7: the release, which people can use without this project: diffusers folder, LoRA, tokens, model card."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hfi_core.erasure.lora import FittedLora, fit_lora
from hfi_core.errors import UserError
from hfi_core.evaluation.judging import Observers, VariantEvaluation
from hfi_core.evaluation.records import RECORDS, EvaluatedVariant, read_variants
from hfi_core.evaluation.shots import Shot, list_suite_shots
from hfi_core.inversion.tokens import FILE
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.digests import write_digests
from hfi_core.io.json_files import read_json, read_jsonl, write_json
from hfi_core.io.tensors import save_tensors
from hfi_core.metrics.intervals import wilson_interval
from hfi_core.models.diffusion.folder import components_without_weights
from hfi_core.models.diffusion.loading import apply_weights, load_model, load_removal_weights, with_weights
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.models.diffusion.recipe import describe_recipe, load_recipe
from hfi_core.models.diffusion.saving import save_model, save_scheduler
from hfi_core.params import Learns, Params, is_trained_parameter
from hfi_core.pipeline.release import LORA_ACCURACY, LORA_WEIGHTS, RECIPE_NUMBERS
from hfi_core.pipeline.stage import StageContext
from hfi_core.progress import Progress
from hfi_core.report.findings import list_uncalibrated
from hfi_core.report.images import select_round_robin
from hfi_core.report.model_card import PICTURES, list_card_suites, write_card, write_card_pictures


def run(context: StageContext) -> dict[str, float]:
    """Write what was evaluated: the base with the removal's weights merged in, in float32; or the row's recipe."""
    params, inputs, row = context.params, context.inputs, context.params.release.row
    exact = params.compute.model_copy(update={"dtype": "float32"})
    model = load_model(params.model_copy(update={"compute": exact}))
    changed, recipe = load_removal_weights(model, inputs["model"]), load_recipe(inputs["model"], model.digest)
    every = read_json(inputs["evaluation"])
    evaluation = _find_evaluation(every, row, inputs["evaluation"])
    removal = read_json(inputs["model"] / "removal.json")
    variants = read_variants(inputs["drawn"], list(dict.fromkeys(["base", row])))
    shots = _choose_shots(params)
    lora = _fit_lora(params, model, changed, shots, context.progress)
    accuracy = {**lora.accuracy, **_judge_lora(params, model, lora, shots, variants[-1])} if lora else None
    apply_weights(model, changed)
    with atomic_folder(context.outputs["release"]) as folder:
        if recipe:
            save_scheduler(model, folder)
            write_json(folder / RECIPE_NUMBERS, describe_recipe(recipe, params.sampler.steps))
        else:
            save_model(model, folder / "model")
        _copy_tokens(inputs["tokens"], folder / "tokens")
        write_json(folder / "metrics.json", evaluation["metrics"])
        if lora:
            save_tensors(folder / LORA_WEIGHTS, lora.tensors, {"base": params.model.digest, "row": row})
            write_json(folder / LORA_ACCURACY, accuracy)
        suites = list_card_suites(params.evaluate)
        write_card_pictures(folder / PICTURES, variants[0], variants[-1], suites)
        write_card(
            folder / "README.md",
            params,
            removal,
            evaluation,
            accuracy,
            recipe=recipe,
            uncalibrated=list_uncalibrated(every),
            people=every["people"] if row in every.get("people", {}).get("rows", ()) else None,
            learned=_describe_learned(changed),
            two_encoders="text_encoder_2" in model.networks,
            left_out=components_without_weights(model.folder),
        )
        files = write_digests(folder, params.model.digest)
    return {"files": float(files)} | ({"lora_rank": float(lora.rank)} if lora else {})


def _choose_shots(params: Params) -> list[Shot]:
    """Choose the pictures that release and LoRA are compared on: as many of each prompt as of any other."""
    shots, spec = list_suite_shots(params), params.release.lora
    chosen = select_round_robin([shot.prompt for shot in shots], spec.pictures) if spec else []
    return [shots[position] for position in chosen]


def _fit_lora(
    params: Params, base: TextToImage, changed: Weights, shots: Sequence[Shot], progress: Progress
) -> FittedLora | None:
    """Fit a LoRA to the removal, if it changed weights and params ask for a LoRA."""
    spec = params.release.lora
    if spec is None or not changed:
        return None
    if of_text := [name for name in changed if name.startswith("text_encoder")]:
        raise UserError(
            f"release.lora: the row {params.release.row} changes {of_text[0]}, and the LoRA of a release holds the "
            "UNet only. To fix this: set release.lora to null in params.yaml."
        )
    requests, block = [shot.request for shot in shots], params.compute.block
    return fit_lora(base, changed, requests, spec, sampler=params.sampler, block=block, progress=progress)


def _judge_lora(
    params: Params, base: TextToImage, lora: FittedLora, shots: Sequence[Shot], released: EvaluatedVariant
) -> dict[str, Any]:
    """Let the evaluation's judge see the LoRA's pictures: a small difference of pixels may be a flagged picture."""
    with TemporaryDirectory(prefix="hfi-lora-") as temporary:
        folder = Path(temporary)
        variant, observers = VariantEvaluation(params, "lora", shots, folder / "work"), Observers.load(params)
        variant.draw(lambda: (with_weights(base, lora.weights), {}))
        variant.see(observers)
        variant.write(folder, observers, {})
        flagged = {(one["suite"], one["index"]): one["flagged"] for one in read_jsonl(folder / RECORDS)}
    theirs = {(one["suite"], one["index"]): one["flagged"] for one in released.records}
    hits, n, level = sum(flagged.values()), len(flagged), params.evaluate.level
    return {
        "flagged": {
            **asdict(wilson_interval(hits, n, level)),
            "release": sum(theirs[shot] for shot in flagged) / n,
            "verdicts_that_differ": sum(theirs[shot] != own for shot, own in flagged.items()),
        }
    }


def _describe_learned(changed: Weights) -> str:
    sets: tuple[tuple[Learns, str], ...] = (("cross", "cross-attention"), ("attention", "self- and cross-attention"))
    found = (words for learns, words in sets if all(is_trained_parameter(name, learns) for name in changed))
    return next(found, "more than the attention")


def _copy_tokens(source: Path, folder: Path) -> None:
    for file in sorted(source.rglob(FILE)):
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _find_evaluation(every: Mapping[str, Any], row: str, path: Path) -> Mapping[str, Any]:
    for evaluated in every["rows"]:
        if evaluated["row"] == row:
            return evaluated
    raise UserError(f"{path} has no row {row!r}. Run `hfi run`, which evaluates it.")
