"""Stage 6a: how hard the concept comes back when an attacker inverts a new token on the safeguarded model.

After Pham et al. 2023. Nothing here was trained against: the start word, the seeds and the pictures are others, the
budget is larger, and the attacker's examples are weighted by labels of pictures that removal never saw.
"""

from collections.abc import Mapping
from pathlib import Path

from hfi_core.diffusion.compute import prepare
from hfi_core.diffusion.loading import load_safeguarded
from hfi_core.examples import labelled
from hfi_core.files import whole_folder
from hfi_core.inversion import invert, start_vectors
from hfi_core.params import Params
from hfi_core.stage import Progress, silent
from hfi_core.steps import write_steps
from hfi_core.tokens import save_token, token_name


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Invert a token a concept on the row's model."""
    prepare(params.compute)
    spec = params.attack
    model = load_safeguarded(params.model, params.compute, inputs["model"])
    losses = {}
    with whole_folder(outputs["attack"]) as folder:
        for name, concept in params.concepts.items():
            token = token_name(name, "reinverted")
            vectors, history = invert(
                model,
                labelled(model, inputs["candidates"] / name, inputs["labels"] / name, "attack", params.compute.block),
                concept.text,
                token,
                start_vectors(model, spec.start, spec.vectors, params.seed, "attack"),
                steps=spec.steps,
                batch=spec.batch,
                rate=spec.rate,
                noisiest=spec.noisiest,
                # One key for all rows: each row faces the same attacker.
                key=(params.seed, "attack", name),
                work=work / name if work else None,
                observe=lambda step, _: progress(step + 1, spec.steps, f"attacking {unit}"),
            )
            save_token(folder / name, token, vectors, model.text.widths)
            losses[name] = history.tolist()
        write_steps(folder / "steps.csv", losses)
    return {f"loss_{name}": sum(curve[-20:]) / len(curve[-20:]) for name, curve in losses.items()}
