"""Stage 6a: how hard the concept comes back when attackers invert new tokens on the safeguarded model.

After Pham et al. 2023. Nothing here was trained against: the start word, the seeds and the pictures are others, the
budget is larger, and the attackers' examples are weighted by labels of pictures that removal never saw.
"""

from collections.abc import Mapping
from pathlib import Path

from hfi_core.compute.device import configure
from hfi_core.inversion.attackers import attackers_of
from hfi_core.inversion.examples import labelled
from hfi_core.inversion.textual_inversion import invert, start_vectors
from hfi_core.inversion.tokens import save_token
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.training_curve import write_steps
from hfi_core.models.diffusion.loading import load_safeguarded
from hfi_core.params import Params
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
    """Invert every attacker's token on the row's model."""
    configure(params.compute)
    spec = params.attack
    model = load_safeguarded(params.model, params.compute, inputs["model"])
    losses, total = {}, len(params.concepts) * spec.attackers * spec.steps
    with atomic_folder(outputs["attack"]) as folder:
        for name, concept in params.concepts.items():
            examples = labelled(
                model, inputs["candidates"] / name, inputs["labels"] / name, "attack", params.compute.block
            )
            for attacker in attackers_of(params, name):
                before = len(losses) * spec.steps
                vectors, history = invert(
                    model,
                    examples,
                    concept.text,
                    attacker.token,
                    start_vectors(model, spec.start, spec.vectors, params.seed, "attack", *attacker.luck),
                    steps=spec.steps,
                    batch=spec.batch,
                    rate=spec.rate,
                    noisiest=spec.noisiest,
                    # The same keys for all rows: each row faces the same attackers.
                    key=(params.seed, "attack", name, *attacker.luck),
                    work=attacker.folder(work) if work else None,
                    observe=lambda step, _, before=before: progress(before + step + 1, total, f"attacking {unit}"),
                )
                save_token(attacker.folder(folder), attacker.token, vectors, model.text.widths)
                losses[attacker] = history.tolist()
        write_steps(folder / "steps.csv", {attacker.name: curve for attacker, curve in losses.items()})
    return {f"loss_{attacker.name}": sum(curve[-20:]) / len(curve[-20:]) for attacker, curve in losses.items()}
