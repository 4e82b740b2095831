"""Make a blind batch of pictures for people to judge, and join what they say with the rows. Does not import torch.

`FOLDER/batch/` is what people see: pictures under numbers, in a random order, without prompt, seed or row. Only
`FOLDER/key.jsonl` says which row, suite and index each picture is, and the annotation server does not read it.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import BaseModel, ConfigDict

from hfi_core.candidates.manifest import MANIFEST, Candidate, PictureId, Sha256, read_manifest
from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError
from hfi_core.evaluation.human_judgements import HumanJudgement, read_lines
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.feedback.ledger import Vote, open_ledger
from hfi_core.feedback.schema import Judgement, dump_judgement
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import read_json, write_json, write_jsonl
from hfi_core.params import Name, Params
from hfi_core.params.values import require_name

PICTURES, KEY, JUDGEMENTS = "batch", "key.jsonl", "judgements.jsonl"
_QUESTION = "question.json"
DEFAULT_ROLES = ("broad", "precise")
"""Roles of the suites that people judge unless others are named: where something objectionable is likely."""


class KeyEntry(BaseModel):
    """What a picture of the batch is. One that several rows share has an entry for each."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    picture: PictureId
    row: Name
    suite: Name
    index: int
    sha256: Sha256


@dataclass(frozen=True)
class Batch:
    """A batch on the disk."""

    folder: Path
    concept: str
    """The concept whose question people answer."""

    @property
    def name(self) -> str:
        """Its name: judgements about it bear this name in place of a concept's."""
        return self.folder.name

    @property
    def pictures(self) -> Path:
        """The folder that people see, laid out as the candidates of a concept."""
        return self.folder / PICTURES

    @property
    def judgements(self) -> Path:
        """The file of the judgements by row."""
        return self.folder / JUDGEMENTS


def require_batch_name(params: Params, name: str) -> None:
    """Raise UserError if a batch cannot have this name. In judgements it stands in a concept's place."""
    require_name(name)
    if name in params.concepts:
        raise UserError(f"{name!r} is the name of a concept. To fix this: give the batch another name.")


def choose_suites(params: Params, concept: str, named: Sequence[str]) -> list[str]:
    """Return the suites that people judge: the named ones, or those about the concept with `DEFAULT_ROLES`.

    Raises UserError if the concept is ranked, if a suite does not exist, or if its verdicts are about another concept.
    """
    if params.concept(concept).feedback != "binary":
        raise UserError(
            f"People order pictures of the concept {concept}, so there is no yes or no about one picture.\n"
            "  To fix this: name a concept with binary feedback in --concept."
        )
    suites = params.evaluate.suites
    if not named:
        named = [
            name for name, suite in suites.items() if suite.role in DEFAULT_ROLES and suite.concept in (None, concept)
        ]
    for name in named:
        if name not in suites:
            raise UserError(f"There is no suite {name!r} in params.yaml; there are {', '.join(suites)}.")
        if suites[name].concept not in (None, concept):
            raise UserError(f"The suite {name} is about the concept {suites[name].concept}, and not about {concept}.")
    if not named:
        raise UserError(
            f"No suite of the roles broad and precise is about {concept}. To fix this: name one in --suite."
        )
    return list(dict.fromkeys(named))


def create_batch(
    params: Params, variants: Sequence[EvaluatedVariant], folder: Path, concept: str, suites: Sequence[str], most: int
) -> list[KeyEntry]:
    """Write a batch of pictures of rows, whole or not at all. Return its key.

    Each suite gives at most `most` random pictures, the same of every row, so that rows are compared in pairs. Choice
    and order depend on `seed` and on the folder's name alone. Pictures of the same bytes are shown once.

    Raises UserError if the folder exists, or if a picture is not what the evaluation says.
    """
    if folder.exists():
        raise UserError(
            f"{folder} exists, and people may have judged it.\n"
            "  To fix this: choose another name, or remove the folder."
        )
    entries, files = [], {}
    for suite in suites:
        records = [
            {record["index"]: record for record in variant.records if record["suite"] == suite} for variant in variants
        ]
        rng = numpy_generator(params.seed, "human-evaluation", folder.name, suite)
        for index in sorted(rng.permutation(sorted(records[0]))[:most].tolist()):
            for variant, by_index in zip(variants, records, strict=True):
                digest = by_index[index]["sha256"]
                files[digest] = variant.folder / f"pictures/{suite}/{index:05d}.png"
                entries.append((variant.name, suite, index, digest))
    ids = number_pictures(files, numpy_generator(params.seed, "human-evaluation", folder.name))
    key = [KeyEntry(picture=ids[sha], row=row, suite=suite, index=i, sha256=sha) for row, suite, i, sha in entries]
    key.sort(key=lambda entry: (entry.picture, entry.row, entry.suite, entry.index))
    with atomic_folder(folder) as target:
        (target / PICTURES / "pictures").mkdir(parents=True)
        # In the order of the numbers: the times of the files must not tell rows apart.
        numbered = sorted(ids.items(), key=itemgetter(1))
        candidates = [Candidate(id=id, sha256=digest, generated=False) for digest, id in numbered]
        for candidate in candidates:
            shutil.copyfile(files[candidate.sha256], copy := target / PICTURES / candidate.file)
            if sha256_of_file(copy) != candidate.sha256:
                raise UserError(
                    f"{files[candidate.sha256]} is not the picture that pictures.jsonl names (its sha256 differs).\n"
                    "  To fix this: `hfi run` draws it again."
                )
        write_jsonl(target / PICTURES / MANIFEST, [candidate.model_dump(mode="json") for candidate in candidates])
        write_json(target / PICTURES / _QUESTION, {"concept": concept})
        write_jsonl(target / KEY, [entry.model_dump() for entry in key])
    return key


def number_pictures(digests: Iterable[str], rng: np.random.Generator) -> dict[str, str]:
    """Give each digest a number as its id, in a random order: `p01`, `p02`, ... (A spreadsheet would read 01 as 1.)"""
    order = sorted(digests)
    width = len(str(len(order)))
    return {order[place]: f"p{number:0{width}d}" for number, place in enumerate(rng.permutation(len(order)), start=1)}


def read_batch(folder: Path) -> Batch:
    """Read which concept a batch is about. Raises UserError if there is no such batch."""
    if not (folder / PICTURES / _QUESTION).is_file():
        raise UserError(
            f"{folder / PICTURES} is missing. To make it: `hfi human-evaluation create {folder.name}`. "
            "If DVC tracks it, `dvc pull` brings it back."
        )
    return Batch(folder, read_json(folder / PICTURES / _QUESTION)["concept"])


def ask_about(params: Params, batch: Batch, database_url: str) -> Params:
    """Return params with which the annotation server and the importers ask about a batch, and about nothing else.

    The batch stands in for a concept, with the concept's words and guidelines. Judgements go to a store of their own.
    There are no gold questions: their pictures are candidates.
    """
    annotation, name = params.annotation, batch.name
    return params.model_copy(
        update={
            "concepts": {name: params.concept(batch.concept)},
            "feedback": params.feedback.model_copy(update={"database_url": database_url}),
            "annotation": annotation.model_copy(
                update={"gold": None, "qualification": 0}
                | {
                    field: {name: files[batch.concept]} if batch.concept in files else {}
                    for field in ("guidelines", "gallery")
                    for files in [getattr(annotation, field)]
                }
            ),
        }
    )


@dataclass(frozen=True)
class CollectedJudgements:
    """The judgements of a batch by row."""

    judgements: Sequence[HumanJudgement]
    pairs: int
    """Numbers of pictures, the same in every row, that have enough judgements in every row."""
    left_out: int
    """Those that have too few in some row."""


def collect_judgements(batch: Batch, judgements: Iterable[Judgement], minimum: int) -> CollectedJudgements:
    """Join the judgements of a batch with its key.

    The latest answer of each person counts. A lead's decisions do not: the lead saw the answers of the others.

    Raises UserError if nobody has judged, or if no picture has `minimum` judgements in every row.
    """
    listed, candidates = list(judgements), {candidate.id: candidate for candidate in read_manifest(batch.pictures)}
    if not listed:
        raise UserError(f"Nobody has judged {batch.name} yet.{_judge_it(batch)}")
    programs = {one.annotator for one in listed if one.simulated}
    with TemporaryDirectory() as folder:
        path = Path(folder) / JUDGEMENTS
        write_jsonl(path, [dump_judgement(one) for one in listed])
        with open_ledger(path, batch.name, "binary", candidates, live=True) as ledger:
            votes = list(ledger.unaided().votes())
    collected = join_key(votes, [entry for _, entry in read_lines(batch.folder / KEY, KeyEntry)], minimum, programs)
    if not collected.judgements:
        raise UserError(
            f"No picture of {batch.name} has {minimum} judgement(s) (feedback.minimum) in every row yet."
            f"{_judge_it(batch)}"
        )
    return collected


def _judge_it(batch: Batch) -> str:
    return (
        f"\n  To fix this: `hfi annotate --human-evaluation {batch.name}` lets people judge it, and "
        f"`hfi feedback import FILE --human-evaluation {batch.name}` brings what they said elsewhere."
    )


def join_key(
    votes: Iterable[Vote], key: Sequence[KeyEntry], minimum: int, programs: Iterable[str] = ()
) -> CollectedJudgements:
    """Return the votes by row, for pictures that have `minimum` of them in every row; else rows would not be paired.

    `programs` are the annotators that are simulated.
    """
    by_picture: Mapping[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_picture[vote.picture].append(vote)
    judged = Counter((e.suite, e.index) for e in key if len(by_picture[e.picture]) >= minimum)
    asked = Counter((e.suite, e.index) for e in key)
    complete = {pair for pair, count in asked.items() if judged[pair] == count}
    simulated = set(programs)
    joined = [
        HumanJudgement(
            row=entry.row, suite=entry.suite, index=entry.index, sha256=entry.sha256, annotator=vote.annotator,
            answer=vote.answer, simulated=vote.annotator in simulated,
        )
        for entry in key
        if (entry.suite, entry.index) in complete
        for vote in by_picture[entry.picture]
    ]  # fmt: skip
    joined.sort(key=lambda one: (one.row, one.suite, one.index, one.annotator))
    return CollectedJudgements(joined, len(complete), len(asked) - len(complete))
