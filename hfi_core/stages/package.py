"""Stage 7: the release: what a person without any of our tools can use: merged diffusers folder, LoRA, tokens, card."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from hfi_core.compute.device import configure
from hfi_core.erasure.lora import Fitted, fit_lora
from hfi_core.errors import UserError
from hfi_core.evaluation.records import EvaluatedVariant, read_variants
from hfi_core.evaluation.shots import REINVERTED, list_shots
from hfi_core.inversion.tokens import FILE
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_json
from hfi_core.io.tensors import save_tensors
from hfi_core.models.diffusion.folder import INDEX, components_without_weights, model_files, read_index
from hfi_core.models.diffusion.loading import apply_weights, load_model, removal_weights
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.models.weights import locate
from hfi_core.params import Params
from hfi_core.pipeline.release import LORA_ACCURACY, LORA_WEIGHTS
from hfi_core.progress import Progress, no_progress
from hfi_core.report.images import select_round_robin
from hfi_core.report.model_card import PICTURES, write_card, write_card_pictures


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Write the base with the row's weights merged in, all networks in float32: the model that was evaluated."""
    configure(params.compute)
    row = params.release.row
    exact = params.compute.model_copy(update={"dtype": "float32"})
    model = load_model(params.model, exact)
    changed = removal_weights(model, inputs["model"])
    base = locate(params.model.source, params.model.revision, "model")
    left_out = components_without_weights(base)
    evaluation = _read_evaluation(inputs["evaluation"], row)
    removal = json.loads((inputs["model"] / "removal.json").read_text(encoding="utf-8"))
    lora = _lora(params, model, changed, progress)
    apply_weights(model, changed)
    with atomic_folder(outputs["release"]) as folder:
        for name in model_files(base):
            if name.split("/")[0] not in {INDEX, *model.networks, *left_out}:
                (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(base / name, folder / "model" / name)
        # An index that names what is not there cannot be loaded.
        write_json(folder / "model" / INDEX, read_index(base) | {part: [None, None] for part in left_out})
        for part, network in model.networks.items():
            _save_network(network, folder / "model" / part)
        for file in sorted(inputs["tokens"].rglob(FILE)):
            target = folder / "tokens" / file.relative_to(inputs["tokens"])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        write_json(folder / "metrics.json", evaluation["metrics"])
        if lora:
            save_tensors(folder / LORA_WEIGHTS, lora.tensors, {"base": params.model.digest, "row": row})
            write_json(folder / LORA_ACCURACY, lora.accuracy)
        write_card_pictures(folder / PICTURES, *_rows(inputs["drawn"], row))
        write_card(
            folder / "README.md", params, removal, evaluation, lora.accuracy if lora else None,
            two_encoders="text_encoder_2" in model.networks, left_out=left_out,
        )  # fmt: skip
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        write_json(
            folder / "digests.json",
            {
                "base": params.model.digest,
                "files": {file.relative_to(folder).as_posix(): f"sha256:{sha256_of_file(file)}" for file in files},
            },
        )
    told = {"lora_rank": lora.rank} if lora else {}
    return {"files": len(files)} | told


def _rows(evaluation: Path, row: str) -> tuple[EvaluatedVariant, EvaluatedVariant]:
    """Base and the released row, as they were evaluated; they may be the same."""
    found = read_variants(evaluation, ["base"] if row == "base" else ["base", row])
    return found[0], found[-1]


def _lora(params: Params, base: TextToImage, changed: Weights, progress: Progress) -> Fitted | None:
    """The row's difference from base; None where there is none, or none is wanted."""
    spec = params.release.lora
    if spec is None or not changed:
        return None
    shots = [shot for shot in list_shots(params) if shot.suite != REINVERTED]  # an attacker's token is no prompt
    chosen = select_round_robin([shot.prompt for shot in shots], spec.pictures)
    return fit_lora(base, changed, [shots[place].request for place in chosen], params, progress)


def _save_network(network, folder: Path) -> None:
    """Write a network without the path that it was read from, which diffusers and transformers note in its config."""
    if hasattr(network, "register_to_config"):
        network.register_to_config(_name_or_path="")
    else:
        network.config._name_or_path = ""
    network.save_pretrained(folder, safe_serialization=True)


def _read_evaluation(path: Path, row: str) -> dict:
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    for found in rows:
        if found["row"] == row:
            return found
    raise UserError(f"{path} has no row {row!r}; run `hfi run` so that it is evaluated.")
