"""Simulated annotators: what the annotators' judge reads in a picture, plus each one's own errors.

They stand in for people in the embedded demo. Every judgement says that it is simulated and holds no time.
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
from hfi_core.embedded.networks import FACTS, UNREADABLE, JudgeNetwork
from hfi_core.embedded.scenes import FLAGGED_EMBLEMS, STYLES
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement
from hfi_core.params import Concept, Crowd
from hfi_core.progress import Progress, no_progress

RANKED_TOGETHER = 5  # pictures a ranking, as in the HFI paper's questionnaire
_BLOCK = 32
_DECIMALS = 4  # last bits of the judge's figures differ between machines


@dataclass(frozen=True)
class Impression:
    """What the judge reads in a picture."""

    picture: Candidate
    emblem_readable: bool
    kind_readable: bool
    flagged: float
    strength: tuple[float, ...]


@dataclass(frozen=True)
class SimulatedAnnotator:
    """Somebody who errs."""

    name: str
    error: float
    cant_tell: float


def view_candidates(
    judge: JudgeNetwork, folder: Path, candidates: list[Candidate], progress: Progress = no_progress
) -> list[Impression]:
    """What the judge reads in each candidate's picture."""
    impressions = []
    with _one_thread():
        for start in range(0, len(candidates), _BLOCK):
            part = candidates[start : start + _BLOCK]
            figures = map_in_padded_batches(read_pictures(folder, part), _BLOCK, partial(_figures, judge))
            impressions += [_impression(*one) for one in zip(part, figures, strict=True)]
            progress(len(impressions), len(candidates), "pictures looked at")
    return impressions


_WIDTHS = (len(FACTS["kind"]), len(FACTS["emblem"]), len(STYLES))


def _figures(judge: JudgeNetwork, pictures: list[np.ndarray]) -> torch.Tensor:
    output = judge(to_signed_tensor(np.stack(pictures)))
    return torch.cat([output["kind"], output["emblem"].softmax(1), output["strength"]], dim=1)


def _impression(candidate: Candidate, figures: torch.Tensor) -> Impression:
    kind, emblem, strength = figures.split(_WIDTHS)
    flagged = emblem[[FACTS["emblem"].index(name) for name in FLAGGED_EMBLEMS]].sum()
    return Impression(
        picture=candidate,
        emblem_readable=FACTS["emblem"][int(emblem.argmax())] != UNREADABLE,
        kind_readable=FACTS["kind"][int(kind.argmax())] != UNREADABLE,
        flagged=round(float(flagged), _DECIMALS),
        strength=tuple(round(float(value), _DECIMALS) for value in strength),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums are split by thread; the crowd's answers do not depend on `compute`, so neither may their sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def draw_annotators(name: str, crowd: Crowd, seed: int) -> list[SimulatedAnnotator]:
    """The people of a crowd; each one's rates are drawn around the crowd's, which are their means."""
    people = []
    for number in range(1, crowd.annotators + 1):
        rng = numpy_generator(seed, "annotator", name, number)
        error, cant_tell = (_around(rate, rng) for rate in (crowd.error, crowd.cant_tell))
        people.append(SimulatedAnnotator(f"{name}-{number}", error, cant_tell))
    return people


def _around(rate: float, rng: np.random.Generator) -> float:
    return rate + min(rate, 1 - rate) * float(rng.uniform(-0.5, 0.5))


def answer_questions(
    annotator: SimulatedAnnotator, concept: str, impressions: list[Impression], seed: int
) -> Iterator[BinaryJudgement]:
    """Binary feedback: is the emblem a flagged one? What cannot be read is answered with "can't tell"."""
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
    annotator: SimulatedAnnotator, concept: str, text: str, impressions: list[Impression], seed: int
) -> Iterator[RankingJudgement]:
    """Rankings of five pictures by the strength of the style that `text` names, or else by P(flagged).

    Each annotator ranks every picture twice: in groups that all of them see, so that their agreement shows, and in
    groups of their own, which tie all pictures together. Normal noise of the annotator's error rate blurs each look.
    """
    style = parse_caption(text).get("style")
    seen: set[frozenset[str]] = set()
    for grouping, key in (("shared", ()), ("own", (annotator.name,))):
        order = numpy_generator(seed, "groups", concept, *key).permutation(len(impressions))
        for number, rows in enumerate(np.array_split(order, -(-len(order) // RANKED_TOGETHER))):
            shown = [impressions[row] for row in rows]
            if (pictures := frozenset(one.picture.id for one in shown)) in seen:
                continue  # nobody is asked the same twice
            seen.add(pictures)
            rng = numpy_generator(seed, "ranking", annotator.name, concept, grouping, number)
            unsure = rng.random(len(shown)) < annotator.cant_tell
            looks = [_strength(one, style) for one in shown] + annotator.error * rng.standard_normal(len(shown))
            placed = [k for k, one in enumerate(shown) if _placeable(one, style) and not unsure[k]]
            placed.sort(key=lambda k: -looks[k])
            yield RankingJudgement(
                id=f"{annotator.name}.{concept}.{grouping}-{number + 1:05d}",
                annotator=annotator.name,
                concept=concept,
                kind="ranking",
                groups=tuple((shown[k].picture.id,) for k in placed),
                not_applicable=tuple(sorted(one.picture.id for k, one in enumerate(shown) if k not in placed)),
                digests={one.picture.id: one.picture.sha256 for one in shown},
                simulated=True,
            )


def _strength(impression: Impression, style: str | None) -> float:
    return impression.strength[STYLES.index(style)] if style else impression.flagged


def _placeable(impression: Impression, style: str | None) -> bool:
    return impression.kind_readable if style else impression.emblem_readable


def simulate_judgements(
    name: str, crowd: Crowd, concept: str, about: Concept, impressions: list[Impression], seed: int
) -> list[BinaryJudgement | RankingJudgement]:
    """All that a crowd says about a concept's candidates, sorted by id."""
    found: list[BinaryJudgement | RankingJudgement] = []
    for annotator in draw_annotators(name, crowd, seed):
        if about.feedback == "binary":
            found += answer_questions(annotator, concept, impressions, seed)
        else:
            found += rank_pictures(annotator, concept, about.text, impressions, seed)
    return sorted(found, key=lambda judgement: judgement.id)
