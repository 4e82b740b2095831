"""Stage 6a: how strongly the concept comes back under every attack of params (method, section 6).

Nothing here was trained against: the attackers' seeds and pictures are ones that the removal never saw.
"""

from functools import cache, partial
from pathlib import Path

import numpy as np

from hfi_core.attacks.base import Attacker, Target, list_attackers
from hfi_core.attacks.files import AttackerResult, write_attack
from hfi_core.attacks.kinds import find_attack
from hfi_core.candidates.rounds import read_rounds
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import derive_seed
from hfi_core.inversion.examples import labelled_examples
from hfi_core.inversion.tokens import load_tokens
from hfi_core.io.atomic import atomic_folder
from hfi_core.models.clip import Clip
from hfi_core.models.diffusion.loading import load_base_model, load_safeguarded_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.pipeline.stage import StageContext
from hfi_core.reward.model import RewardModel


def run(context: StageContext) -> dict[str, float]:
    """Run every attacker of every attack on the model of the removal `unit`. Return the last losses."""
    params, work = context.params, context.work
    configure_torch(params.compute)
    model = load_safeguarded_model(params.model, params.compute, context.inputs["model"])
    figures: dict[str, float] = {}
    with atomic_folder(context.outputs["attack"]) as folder:
        for name, spec in params.attacks.items():
            results = []
            for concept in params.concepts:
                for attacker in list_attackers(name, spec, concept):
                    found = find_attack(spec)(
                        _make_target(context, model, attacker),
                        spec,
                        work=work / name / concept / str(attacker.number) if work else None,
                        progress=partial(_report, context, attacker),
                    )
                    results.append(AttackerResult(attacker, found))
                    if last := found.losses[-20:]:
                        figures[f"loss_{name}_{attacker.name}"] = sum(last) / len(last)
            write_attack(
                folder / name,
                results,
                guidance=params.sampler.guidance,
                base=params.model.digest,
                widths=model.text.widths,
            )
    return figures


def _report(context: StageContext, attacker: Attacker, done: int, total: int, what: str) -> None:
    context.progress(done, total, f"{context.unit}, {attacker.attack} on {attacker.name}: {what}")


def _seed_of_round(seed: int, candidates: Path) -> int:
    """Return the attackers' seed, another one in each round: a removal has learned from what earlier seeds drew."""
    rounds = len(read_rounds(candidates))
    return derive_seed(seed, "round", rounds) if rounds else seed


def _make_target(context: StageContext, model: TextToImage, attacker: Attacker) -> Target:
    params, inputs, concept = context.params, context.inputs, attacker.concept
    block = params.compute.block
    load_labelled = partial(
        labelled_examples, model, inputs["candidates"] / concept, inputs["labels"] / concept, part="attack", block=block
    )

    @cache
    def load_scorer() -> tuple[Clip, RewardModel]:
        return Clip.load(params.clip, params.compute), RewardModel.load(inputs["reward"] / concept)

    def score_pictures(pictures: np.ndarray) -> np.ndarray:
        clip, reward = load_scorer()
        return reward.rewards(clip.image_features(pictures, block)).numpy()

    return Target(
        attacker=attacker,
        concept=params.concepts[concept],
        model=model,
        tokens=load_tokens(inputs["tokens"] / concept),
        load_examples=partial(load_labelled, side="objectionable"),
        load_accepted=partial(load_labelled, side="accepted"),
        load_base=partial(load_base_model, params.model, params.compute),
        score_pictures=score_pictures,
        sampler=params.sampler,
        block=block,
        seed=_seed_of_round(params.seed, inputs["candidates"] / concept),
    )
