"""Simulate annotators for the demo: they answer as the annotators' judge reads a picture, with errors of their own.

Every judgement is marked as simulated and has no time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from hfi_core.candidates.manifest import Candidate, read_pictures
from hfi_core.compute.batching import map_in_padded_batches, to_signed_tensor
from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.captions import parse_caption
from hfi_core.embedded.networks import UNREADABLE, JudgeNetwork
from hfi_core.embedded.scenes import World
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement
from hfi_core.params import Concept, Crowd
from hfi_core.progress import Progress, no_progress

PICTURES_PER_RANKING = 5
"""As in the questionnaire of the HFI paper."""
_BLOCK = 32
_DECIMALS = 4
"""The judge's outputs are rounded, because their last bits differ between machines."""


@dataclass(frozen=True)
class Impression:
    """What the judge reads in a picture."""

    picture: Candidate
    emblem_readable: bool
    kind_readable: bool
    flagged: float
    """Probability of a flagged emblem."""
    strength: tuple[float, ...]
    """Strength of each style of the world."""


@dataclass(frozen=True)
class SimulatedAnnotator:
    """An annotator with its rates of wrong answers and of "can't tell"."""

    name: str
    error: float
    cant_tell: float


def view_candidates(
    judge: JudgeNetwork, folder: Path, candidates: list[Candidate], progress: Progress = no_progress
) -> list[Impression]:
    """Return what the judge reads in each candidate's picture."""
    impressions = []
    with _single_thread():
        for start in range(0, len(candidates), _BLOCK):
            part = candidates[start : start + _BLOCK]
            outputs = map_in_padded_batches(read_pictures(folder, part), _BLOCK, partial(_run_judge, judge))
            impressions += [_make_impression(judge, *pair) for pair in zip(part, outputs, strict=True)]
            progress(len(impressions), len(candidates), "pictures viewed")
    return impressions


def _run_judge(judge: JudgeNetwork, pictures: list[np.ndarray]) -> torch.Tensor:
    output = judge(to_signed_tensor(np.stack(pictures)))
    return torch.cat([output["kind"], output["emblem"].softmax(1), output["strength"]], dim=1)


def _make_impression(judge: JudgeNetwork, candidate: Candidate, outputs: torch.Tensor) -> Impression:
    kinds, emblems = judge.facts["kind"], judge.facts["emblem"]
    kind, emblem, strength = outputs.split([len(kinds), len(emblems), len(judge.world.styles)])
    flagged = emblem[[emblems.index(name) for name in judge.world.flagged]].sum()
    return Impression(
        picture=candidate,
        emblem_readable=emblems[int(emblem.argmax())] != UNREADABLE,
        kind_readable=kinds[int(kind.argmax())] != UNREADABLE,
        flagged=round(float(flagged), _DECIMALS),
        strength=tuple(round(float(value), _DECIMALS) for value in strength),
    )


@contextmanager
def _single_thread() -> Iterator[None]:
    """Use one thread: sums depend on the number of threads, and the answers must not depend on `compute`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def draw_annotators(name: str, crowd: Crowd, seed: int) -> list[SimulatedAnnotator]:
    """Return the annotators of a crowd. Their rates are random; the rates of the crowd are their expected values."""
    annotators = []
    for number in range(1, crowd.annotators + 1):
        rng = numpy_generator(seed, "annotator", name, number)
        error, cant_tell = (_vary_rate(rate, rng) for rate in (crowd.error, crowd.cant_tell))
        annotators.append(SimulatedAnnotator(f"{name}-{number}", error, cant_tell))
    return annotators


def _vary_rate(rate: float, rng: np.random.Generator) -> float:
    return rate + min(rate, 1 - rate) * float(rng.uniform(-0.5, 0.5))


def answer_questions(
    annotator: SimulatedAnnotator, concept: str, impressions: list[Impression], seed: int
) -> Iterator[BinaryJudgement]:
    """Answer for each picture whether its emblem is a flagged one; "can't tell" if the emblem is unreadable."""
    for impression in impressions:
        picture = impression.picture
        rng = numpy_generator(seed, "answer", annotator.name, concept, picture.id)
        unsure, wrong = rng.random(2) < (annotator.cant_tell, annotator.error)
        flagged = (impression.flagged > 0.5) != wrong
        yield BinaryJudgement(
            id=f"{annotator.name}.{concept}.{picture.id}",
            annotator=annotator.name,
            concept=concept,
            kind="binary",
            picture=picture.id,
            sha256=picture.sha256,
            answer="cant_tell" if unsure or not impression.emblem_readable else "yes" if flagged else "no",
            simulated=True,
        )


def rank_pictures(
    annotator: SimulatedAnnotator, world: World, concept: str, text: str, impressions: list[Impression], seed: int
) -> Iterator[RankingJudgement]:
    """Rank groups of five pictures by the strength of the style that `text` names, or else by P(flagged).

    Each annotator ranks every picture twice. Groups that all annotators share measure their agreement; groups of the
    annotator's own connect all pictures with each other. Each value gets normal noise, scaled by the error rate.
    """
    style = parse_caption(world, text).get("style")
    number_of_style = world.styles.index(style) if style else None
    ranked: set[frozenset[str]] = set()
    for grouping, key in (("shared", ()), ("own", (annotator.name,))):
        order = numpy_generator(seed, "groups", concept, *key).permutation(len(impressions))
        for number, rows in enumerate(np.array_split(order, -(-len(order) // PICTURES_PER_RANKING))):
            group = [impressions[row] for row in rows]
            if (pictures := frozenset(impression.picture.id for impression in group)) in ranked:
                continue  # this annotator has already ranked the same pictures
            ranked.add(pictures)
            rng = numpy_generator(seed, "ranking", annotator.name, concept, grouping, number)
            unsure = rng.random(len(group)) < annotator.cant_tell
            noise = annotator.error * rng.standard_normal(len(group))
            values = [_rated_value(impression, number_of_style) for impression in group] + noise
            placed = [k for k, impression in enumerate(group) if _is_readable(impression, style) and not unsure[k]]
            placed.sort(key=lambda k: -values[k])
            yield RankingJudgement(
                id=f"{annotator.name}.{concept}.{grouping}-{number + 1:05d}",
                annotator=annotator.name,
                concept=concept,
                kind="ranking",
                groups=tuple((group[k].picture.id,) for k in placed),
                not_applicable=tuple(sorted(pictures - {group[k].picture.id for k in placed})),
                digests={impression.picture.id: impression.picture.sha256 for impression in group},
                simulated=True,
            )


def _rated_value(impression: Impression, style: int | None) -> float:
    return impression.flagged if style is None else impression.strength[style]


def _is_readable(impression: Impression, style: str | None) -> bool:
    return impression.kind_readable if style else impression.emblem_readable


def simulate_judgements(
    world: World, name: str, crowd: Crowd, concept: str, spec: Concept, impressions: list[Impression], seed: int
) -> list[BinaryJudgement | RankingJudgement]:
    """Return all judgements of a crowd on a concept's candidates, sorted by id."""
    judgements: list[BinaryJudgement | RankingJudgement] = []
    for annotator in draw_annotators(name, crowd, seed):
        if spec.feedback == "binary":
            judgements += answer_questions(annotator, concept, impressions, seed)
        else:
            judgements += rank_pictures(annotator, world, concept, spec.text, impressions, seed)
    return sorted(judgements, key=lambda judgement: judgement.id)
