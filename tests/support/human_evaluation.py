"""Batches for people to judge, and what simulated people say about them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hfi_core.evaluation.human_batch import KEY, Batch, KeyEntry, create_batch, read_batch
from hfi_core.evaluation.human_judgements import HumanJudgement, read_lines
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.io.json_files import write_jsonl
from hfi_core.params import Params, parse_params

SUITES = ("broad", "precise")
PEOPLE = ("ana", "ben", "cleo")


def make_batch(params: Params, variants: Sequence[EvaluatedVariant], folder: Path, most: int = 8) -> Batch:
    """Make a batch of the suites broad and precise."""
    create_batch(params, variants, folder, "badge", SUITES, most)
    return read_batch(folder)


def read_key(batch: Batch) -> list[KeyEntry]:
    """Return what each picture of a batch is."""
    return [entry for _, entry in read_lines(batch.folder / KEY, KeyEntry)]


def judge_as_the_judge(record: dict[str, Any], annotator: str) -> str:
    """Answer as the judge does."""
    return "yes" if record["flagged"] else "no"


def write_judgements(
    path: Path,
    variants: Sequence[EvaluatedVariant],
    answer: Callable[[dict[str, Any], str], str] = judge_as_the_judge,
    people: Sequence[str] = PEOPLE,
    suites: Sequence[str] = SUITES,
) -> list[HumanJudgement]:
    """Write judgements by simulated people on every picture of some suites."""
    judgements = [
        HumanJudgement(
            row=variant.name, suite=record["suite"], index=record["index"], sha256=record["sha256"],
            annotator=annotator, answer=answer(record, annotator), simulated=True,
        )
        for variant in variants
        for record in variant.records
        if record["suite"] in suites
        for annotator in people
    ]  # fmt: skip
    write_jsonl(path, [judgement.model_dump() for judgement in judgements])
    return judgements


def with_people(params: Params, file: str) -> Params:
    """Return params that name judgements by people."""
    raw = params.model_dump(mode="json")
    raw["evaluate"]["people"] = {"file": file}
    return parse_params(raw)
