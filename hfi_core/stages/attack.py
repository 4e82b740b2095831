"""Stage 6a: how strongly the concept comes back when attackers invert new tokens on the safeguarded model.

After Pham et al. 2023. Nothing here was trained against: the start word, the seeds and the pictures are others, and the
budget is larger. The attackers' examples are weighted by labels of pictures that the removal never saw.
"""

from hfi_core.compute.device import configure_torch
from hfi_core.inversion.attackers import Attacker, list_attackers
from hfi_core.inversion.examples import labelled_examples
from hfi_core.inversion.textual_inversion import InversionSettings, invert_token, make_start_vectors
from hfi_core.inversion.tokens import save_token
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.training_curve import write_training_curve
from hfi_core.models.diffusion.loading import load_safeguarded_model
from hfi_core.pipeline.stage import StageContext


def run(context: StageContext) -> dict[str, float]:
    """Invert every attacker's token on the model of the removal `unit`."""
    params, inputs, work = context.params, context.inputs, context.work
    configure_torch(params.compute)
    attack, settings = params.attack, InversionSettings.of(params.attack)
    model = load_safeguarded_model(params.model, params.compute, inputs["model"])
    losses: dict[Attacker, list[float]] = {}
    total = len(params.concepts) * attack.attackers * attack.steps

    def observe(step: int, _) -> None:
        done = len(losses) * attack.steps + step + 1
        context.progress(done, total, f"attacking {context.unit}")

    with atomic_folder(context.outputs["attack"]) as folder:
        for name, concept in params.concepts.items():
            examples = labelled_examples(
                model, inputs["candidates"] / name, inputs["labels"] / name, "attack", params.compute.block
            )
            for attacker in list_attackers(attack, name):
                # The key does not hold the removal's name: every safeguarded model meets the same attackers.
                key = (params.seed, "attack")
                start = make_start_vectors(model, attack.start, attack.vectors, *key, *attacker.seed_suffix)
                vectors, history = invert_token(
                    model,
                    examples,
                    concept.text,
                    attacker.token,
                    start,
                    settings,
                    key=(*key, name, *attacker.seed_suffix),
                    work=attacker.folder(work) if work else None,
                    observe=observe,
                )
                save_token(attacker.folder(folder), attacker.token, vectors, model.text.widths)
                losses[attacker] = history.tolist()
        curves = {attacker.name: curve for attacker, curve in losses.items()}
        write_training_curve(folder / "steps.csv", curves)
    return {f"loss_{name}": sum(curve[-20:]) / len(curve[-20:]) for name, curve in curves.items()}
