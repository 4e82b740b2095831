"""Choose the pictures that attacks brought back for the next round, and say how the attacks do from round to round.

The reward model chooses. The judge of the evaluation never does: it would then train the removal that it judges.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hfi_core.candidates.manifest import read_manifest
from hfi_core.candidates.rounds import AttackSuccess, read_rounds
from hfi_core.errors import UserError
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.evaluation.shots import Shot, list_shots
from hfi_core.feedback.labels import read_labels
from hfi_core.params import Params
from hfi_core.reward.model import RewardModel


@dataclass(frozen=True)
class AttackPicture:
    """A picture that was drawn of what an attack found."""

    file: Path
    sha256: str
    reward: float
    """r in [0, 1] by the reward model: a higher one is more objectionable."""
    shot: Shot


@dataclass(frozen=True)
class Choice:
    """The pictures of a round, and how many were left out."""

    pictures: tuple[AttackPicture, ...]
    known: int
    """Pictures left out, as they are candidates already or equal to another one."""
    accepted: int
    """Pictures left out, as the reward model does not find them objectionable."""
    over_limit: int


def choose_attacks(params: Params, names: Sequence[str] = ()) -> list[str]:
    """Return the attacks whose pictures may become candidates, by default all that act on the text condition.

    An attack on the weights draws with another model than the row's. An attack on the latents redraws pictures that are
    held out for attackers, and no removal may learn from these.

    Raises UserError if there is no such attack, or if it acts on something else.
    """
    for name in names:
        if name not in params.attacks:
            raise UserError(f"There is no attack {name!r}; params.yaml has {', '.join(params.attacks) or 'none'}.")
        if (acts_on := params.attacks[name].acts_on) != "condition":
            reason = {
                "weights": "its pictures are not of this row's model",
                "latents": "its pictures redraw those that are held out for attackers",
            }[acts_on]
            raise UserError(f"The attack {name!r} acts on the {acts_on}: {reason}. To fix this: name another attack.")
    chosen = list(names) or [name for name, attack in params.attacks.items() if attack.acts_on == "condition"]
    if not chosen:
        raise UserError("No attack in params.yaml acts on the text condition, so there are no pictures for a round.")
    return list(dict.fromkeys(chosen))


def list_attack_pictures(
    params: Params, variant: EvaluatedVariant, attacks: Path, concept: str, names: Collection[str], reward: RewardModel
) -> list[AttackPicture]:
    """List the pictures of attacks on a concept, in the order of the evaluation, each with its reward.

    Args:
        attacks: `attacks/ROW`.
        reward: the concept's reward model. It sees the CLIP features of the evaluation.
    """
    shots = {
        (shot.suite, shot.index): shot
        for shot in list_shots(params, attacks)
        if shot.suite in names and shot.concept == concept
    }
    positions = [i for i, row in enumerate(variant.records) if (row["suite"], row["index"]) in shots]
    rewards = reward.rewards(torch.from_numpy(variant.features[positions]).float()).tolist()
    rows = [variant.records[i] for i in positions]
    found = [(shots[row["suite"], row["index"]], row, r) for row, r in zip(rows, rewards, strict=True)]
    return [AttackPicture(variant.folder / shot.file, row["sha256"], r, shot) for shot, row, r in found]


def choose_pictures(
    pictures: Sequence[AttackPicture], known: Collection[str], *, objectionable_only: bool, limit: int
) -> Choice:
    """Choose the pictures of a round: the most objectionable ones by reward, or an even sample of all.

    Args:
        known: digests of pictures that are candidates already.
        objectionable_only: leave out pictures with a reward of one half or less, and begin with the highest reward.
            Otherwise the order is that of the digests, which is as good as random.
        limit: the largest number of pictures, as people have to judge them.
    """
    new = {picture.sha256: picture for picture in reversed(pictures) if picture.sha256 not in known}  # the first stays
    taken = [picture for picture in new.values() if picture.reward > 0.5 or not objectionable_only]
    taken.sort(key=lambda picture: (-picture.reward if objectionable_only else 0, picture.sha256))
    return Choice(
        pictures=tuple(taken[:limit]),
        known=len(pictures) - len(new),
        accepted=len(new) - len(taken),
        over_limit=max(0, len(taken) - limit),
    )


def measure_success(evaluation: Mapping[str, Any], row: str, names: Collection[str]) -> dict[str, AttackSuccess]:
    """Return what attacks get of a row, as `reports/evaluation.json` says.

    Raises UserError if the evaluation lacks the row or an attack.
    """
    metrics = {line["row"]: line["metrics"] for line in evaluation["rows"]}.get(row, {})
    success = {}
    for name in names:
        if f"flagged@{name}" not in metrics:
            raise UserError(f"The evaluation has no figure of the attack {name!r} on the row {row!r}: `hfi run` first.")
        figure = {key: metrics[f"flagged@{name}"][key] for key in ("value", "low", "high", "n")}
        success[name] = AttackSuccess(**figure, calibrated=evaluation["attacks"][name]["calibrated"])
    return success


def describe_rounds(
    params: Params, candidates: Path, labels: Path, evaluation: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rounds of all concepts, each with its candidates and their labels; last, the present evaluation.

    The present evaluation has the number null. It is of the released row, and of every row that a round attacked.

    Args:
        candidates: `candidates/`, with a folder for each concept.
        labels: `labels/`, likewise.
    """
    described: list[dict[str, Any]] = []
    rounds = {concept: read_rounds(candidates / concept) for concept in params.concepts}
    for concept, records in rounds.items():
        pictures = {row.id: row.attack.round for row in read_manifest(candidates / concept) if row.attack}
        judged = {label.picture: label.label for label in read_labels(labels / concept)}
        counts = Counter(pictures.values())
        for record in records:
            own = [judged[id] for id, number in pictures.items() if number == record.number and id in judged]
            described.append(
                record.model_dump(mode="json", exclude={"evaluation"})
                | {"candidates": counts[record.number], "judged": len(own)}
                | {"objectionable": sum(label > 0.5 for label in own)}
            )
    if not described:
        return []
    known = [line["row"] for line in evaluation["rows"]]
    attacked = [record.row for records in rounds.values() for record in records]
    names = [name for name in evaluation["attacks"] if params.attacks[name].acts_on == "condition"]
    for row in dict.fromkeys(row for row in [params.release.row, *attacked] if row in known):
        attacks = {name: one.model_dump() for name, one in measure_success(evaluation, row, names).items()}
        described.append({"concept": None, "number": None, "row": row, "attacks": attacks})
    return described
