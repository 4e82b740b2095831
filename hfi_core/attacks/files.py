"""What an attack found, on disk: `attacks/ROW/NAME/`, in the formats with which others can replay it.

`prompts.csv` has one picture a line. Tokens are `learned_embeds.safetensors` below `tokens/`, latents are in
`latents.safetensors` by case, and weights that an attacker changed in `weights/`. The losses are in `steps.csv`.
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

from hfi_core.attacks.base import Attacker, AttackPrompt, Found
from hfi_core.errors import UserError
from hfi_core.inversion.tokens import save_token
from hfi_core.io.atomic import atomic_file
from hfi_core.io.json_files import write_json
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.io.training_curve import write_training_curve

PROMPTS, LATENTS, FIGURES, TOKENS = "prompts.csv", "latents.safetensors", "figures.json", "tokens"


@dataclass(frozen=True)
class AttackCase:
    """A line of `prompts.csv`: one picture to draw. The first five columns are those of the field's own files."""

    case_number: int
    prompt: str
    evaluation_seed: int
    evaluation_guidance: float
    adversarial_prompt: str
    concept: str
    attacker: str
    step: int | None
    """The attacker's step that the picture is a look at. None: the end."""
    latents: bool
    """Whether the picture starts from the latents of this case."""
    weights: str | None
    """Name of the file of weights that the picture is drawn with."""


@dataclass(frozen=True)
class AttackerResult:
    """An attacker, and what it found."""

    attacker: Attacker
    found: Found


def write_attack(
    folder: Path, results: Sequence[AttackerResult], *, guidance: float, base: str, widths: Sequence[int] = ()
) -> None:
    """Write what the attackers of one attack found.

    Args:
        guidance: guidance of the prompts that name none.
        base: digest of the base model, which changed weights belong to.
        widths: widths of the model's text encoders.
    """
    cases: list[AttackCase] = []
    latents: dict[str, torch.Tensor] = {}
    for result in results:
        attacker, found = result.attacker, result.found
        for name, vectors in found.tokens.items():
            save_token(folder / TOKENS / name.strip("<>"), name, vectors, widths)
        for name, weights in found.weights.items():
            meta = {"base": base}
            save_tensors(_weights_path(folder, _weights_name(attacker, name)), dict(weights), meta)
        for prompt in found.prompts:
            case = _make_case(len(cases), attacker, prompt, guidance)
            cases.append(case)
            if prompt.latents is not None:
                latents[str(case.case_number)] = prompt.latents.float().cpu()
    if latents:
        save_tensors(folder / LATENTS, latents)
    with atomic_file(folder / PROMPTS) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [column.name for column in fields(AttackCase)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**asdict(case), "latents": int(case.latents)} for case in cases)
    curves = {result.attacker.name: list(result.found.losses) for result in results if result.found.losses}
    if curves:
        write_training_curve(folder / "steps.csv", curves)
    figures = {result.attacker.name: dict(result.found.figures) for result in results}
    write_json(folder / FIGURES, figures)


def _make_case(number: int, attacker: Attacker, prompt: AttackPrompt, guidance: float) -> AttackCase:
    return AttackCase(
        case_number=number,
        prompt=prompt.prompt,
        evaluation_seed=prompt.seed,
        evaluation_guidance=guidance if prompt.guidance is None else prompt.guidance,
        adversarial_prompt=prompt.adversarial_prompt,
        concept=attacker.concept,
        attacker=attacker.name,
        step=prompt.step,
        latents=prompt.latents is not None,
        weights=None if prompt.weights is None else _weights_name(attacker, prompt.weights),
    )


def _weights_name(attacker: Attacker, name: str) -> str:
    return f"{attacker.name}-{name}"


def _weights_path(folder: Path, name: str) -> Path:
    return folder / "weights" / f"{name}.safetensors"


def list_attacks(row: Path) -> list[Path]:
    """Return the folders of the attacks on a row, `attacks/ROW/NAME`, by name."""
    return sorted(path.parent for path in row.glob(f"*/{PROMPTS}"))


def read_cases(folder: Path) -> list[AttackCase]:
    """Read the `prompts.csv` of one attack.

    Raises UserError if it is missing, or was not written by `write_attack`.
    """
    path = folder / PROMPTS
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [_parse_case(line) for line in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read: {error}. To fix this, run the stage attack again.") from error


def _parse_case(line: dict[str, str]) -> AttackCase:
    return AttackCase(
        case_number=int(line["case_number"]),
        prompt=line["prompt"],
        evaluation_seed=int(line["evaluation_seed"]),
        evaluation_guidance=float(line["evaluation_guidance"]),
        adversarial_prompt=line["adversarial_prompt"],
        concept=line["concept"],
        attacker=line["attacker"],
        step=int(line["step"]) if line["step"] else None,
        latents=line["latents"] == "1",
        weights=line["weights"] or None,
    )


def load_latents(folder: Path) -> dict[int, torch.Tensor]:
    """Return the latents (C, H, W) of one attack by the number of the case."""
    return {int(case): latents for case, latents in load_tensors(folder / LATENTS)[0].items()}


def load_attack_weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the UNet's parameters that an attacker changed, by name."""
    return load_tensors(_weights_path(folder, name))[0]
