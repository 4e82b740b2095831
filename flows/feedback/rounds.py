"""Make the pictures that attacks brought back a set of candidates: the next round learns from them."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.execution.unit import WORK
from flows.orchestration.plan import Plan, make_plan
from flows.runtime.device import with_local_device
from hfi_core.candidates.importer import import_candidates
from hfi_core.candidates.manifest import AttackOrigin, Candidate, read_manifest
from hfi_core.candidates.rounds import Round, read_rounds
from hfi_core.errors import UserError, listed
from hfi_core.evaluation.records import RECORDS, read_evaluation, read_variant, require_evaluated
from hfi_core.evaluation.rounds import (
    Choice,
    choose_attacks,
    choose_pictures,
    list_attack_pictures,
    measure_success,
)
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params, load_params
from hfi_core.pipeline.graph import work_key
from hfi_core.pipeline.layout import ATTACKS, CANDIDATES, EVALUATED_ROWS, EVALUATION, IMPORTED, PARAMS, REWARD
from hfi_core.reward.model import RewardModel


@dataclass(frozen=True)
class ConceptRound:
    """What a concept gets of an evaluation."""

    concept: str
    folder: Path | None
    """The set of its pictures; None if there are none to add."""
    choice: Choice | None
    """None if an earlier call made the set."""


def add_rounds(
    row: str | None, attacks: Sequence[str], *, objectionable_only: bool, limit: int
) -> tuple[Params, list[ConceptRound]]:
    """Import what attacks brought back of an evaluated row (by default the released one), a set for each concept.

    An evaluation makes one round: a second call finds its sets and changes nothing.

    Raises UserError if there is no such row or attack, or if the evaluation is missing or out of date.
    """
    params = load_params(PARAMS)
    row = params.release.row if row is None else row
    params.require_row(row)
    names = choose_attacks(params, attacks)
    folder = EVALUATED_ROWS / row
    require_evaluated(folder)
    digest = sha256_of_file(folder / RECORDS)
    made = {concept: _find_round(concept, row, digest) for concept in params.concepts}
    if all(made.values()):
        return params, [ConceptRound(concept, path, None) for concept, path in made.items()]
    plan = make_plan()
    _require_finished(plan, row)
    variant, success = read_variant(folder), measure_success(read_evaluation(EVALUATION), row, names)
    rounds = []
    for concept, path in made.items():
        if path:
            rounds.append(ConceptRound(concept, path, None))
            continue
        reward = RewardModel.load(REWARD / concept)
        pictures = list_attack_pictures(params, variant, ATTACKS / row, concept, names, reward)
        known = {digest for candidate in _list_known(concept) for digest in _digests_of(candidate)}
        choice = choose_pictures(pictures, known, objectionable_only=objectionable_only, limit=limit)
        number = 1 + max((number for number, _ in _list_sets(concept)), default=0)
        weights = variant.provenance["weights_sha256"]
        record = Round(concept=concept, number=number, row=row, weights=weights, evaluation=digest, attacks=success)
        target = IMPORTED / f"{concept}-round-{number}"
        if choice.pictures:
            _import(choice, record, target)
        rounds.append(ConceptRound(concept, target if choice.pictures else None, choice))
    if any(one.folder for one in rounds) and not params.candidates.are_joined:
        _keep_drawn_pictures(plan)
    return params, rounds


def _require_finished(plan: Plan, row: str) -> None:
    needed = {f"evaluate@{row}", "compare", *(f"reward@{concept}" for concept in plan.params.concepts)}
    if stale := [unit.address for unit in plan.affected if unit.address in needed]:
        raise UserError(
            f"{listed(stale)}: out of date, or depends on a unit that is, so the pictures of {EVALUATED_ROWS / row} "
            "are of an earlier state.\n  To fix this: `hfi run` first."
        )


def _import(choice: Choice, record: Round, target: Path) -> None:
    metadata = {}
    with TemporaryDirectory(prefix="hfi-round-") as temporary:
        for picture in choice.pictures:
            shot = picture.shot
            name = f"{target.name}/{shot.suite}/{picture.file.name}"  # labels of other tools may name a picture by it
            (Path(temporary) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture.file, Path(temporary) / name)
            origin = AttackOrigin(
                round=record.number, row=record.row, weights=record.weights, attack=shot.suite,
                attacker=shot.attacker or record.concept, adversarial_prompt=shot.request.prompt,
            )  # fmt: skip
            metadata[name] = {"prompt": shot.prompt, "seed": shot.request.seed, "attack": origin}
        import_candidates(Path(temporary), target, metadata=metadata, rounds=[record])


def _list_sets(concept: str) -> Iterator[tuple[int, Path]]:
    """Yield number and folder of each round of a concept, with those that DVC has but this folder lacks."""
    prefix = f"{concept}-round-"
    for path in IMPORTED.glob(f"{prefix}*"):
        number = path.name.removeprefix(prefix).removesuffix(".dvc")
        if number.isdecimal():
            yield int(number), path.with_name(f"{prefix}{number}")


def _find_round(concept: str, row: str, evaluation: str) -> Path | None:
    """Return the set that an earlier call made of the same evaluation, or None."""
    for _, folder in _list_sets(concept):
        if any((record.row, record.evaluation) == (row, evaluation) for record in read_rounds(folder)):
            return folder
    return None


def _list_known(concept: str) -> Iterator[Candidate]:
    yield from read_manifest(CANDIDATES / concept)
    for _, folder in _list_sets(concept):
        if folder.is_dir():
            yield from read_manifest(folder)


def _digests_of(candidate: Candidate) -> list[str]:
    return [candidate.sha256, *([candidate.original.sha256] if candidate.original else [])]


def _keep_drawn_pictures(plan: Plan) -> None:
    """Give `generate` the drawn pictures as checkpoints, because it will write them to `drawn/`, under the same key.

    It would draw them again. On a GPU they could differ then, and judgements of them would no longer count.
    """
    params = with_local_device(plan.params)
    for unit in plan.units:
        if unit.stage.name == "generate" and unit not in plan.affected:
            with atomic_folder(WORK / f"{unit.address}-{work_key(unit, params)}" / "pictures") as folder:
                shutil.copytree(unit.outputs["candidates"] / "pictures", folder, dirs_exist_ok=True)
