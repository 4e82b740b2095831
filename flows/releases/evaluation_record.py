"""The evaluation of a registered version, stored beside it in MLflow: metrics, verdicts, some pictures."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import Records
from hfi_core.evaluation.records import RECORDS
from hfi_core.io.hashing import sha256_of_folder
from hfi_core.io.json_files import read_jsonl
from hfi_core.params import Params
from hfi_core.pipeline.layout import EVALUATED_ROWS
from hfi_core.report.images import select_round_robin

FOLDER = "evaluation"
TAG = "hfi.evaluation"
PICTURES_PER_SUITE = 8
"""Pictures that are stored: the same seeds in every version."""
_FIGURES = "evaluation.json"


@dataclass(frozen=True)
class EvaluationRecord:
    """The evaluation of one version."""

    evaluation: dict[str, Any]
    records: Records
    """The verdicts on its pictures; empty if they did not exist when it was registered."""
    pictures: dict[tuple[str, int], bytes]
    """PNG by suite and index."""


@contextmanager
def gather_record(params: Params, evaluation: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder with the evaluation of the released variant, and the folder's digest."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / FOLDER
        folder.mkdir()
        shutil.copyfile(evaluation, folder / _FIGURES)
        evaluated = EVALUATED_ROWS / params.release.row
        if (evaluated / RECORDS).exists():
            shutil.copyfile(evaluated / RECORDS, folder / RECORDS)
            for suite, index in _choose_pictures(read_jsonl(evaluated / RECORDS)):
                picture = f"pictures/{suite}/{index:05d}.png"
                (folder / picture).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(evaluated / picture, folder / picture)
        yield folder, sha256_of_folder(folder)


def _choose_pictures(records: Records) -> Iterator[tuple[str, int]]:
    for suite in dict.fromkeys(record["suite"] for record in records):
        of_suite = [record for record in records if record["suite"] == suite]
        for position in select_round_robin([record["prompt"] for record in of_suite], PICTURES_PER_SUITE):
            yield suite, of_suite[position]["index"]


def read_record(params: Params, version) -> EvaluationRecord:
    """Read the evaluation of an MLflow model version, and compare it with the digest in its tags.

    Raises UserError if it is missing or is not what was registered.
    """
    import mlflow

    name = f"{version.name} version {version.version}"
    if TAG not in version.tags:
        raise UserError(f"{name} was registered without its figures, so its gates cannot be checked.")
    with tempfile.TemporaryDirectory() as scratch:
        address = f"runs:/{version.run_id}/{FOLDER}"
        mlflow.artifacts.download_artifacts(address, dst_path=scratch, tracking_uri=params.tracking.mlflow)
        folder = Path(scratch) / FOLDER
        if sha256_of_folder(folder) != version.tags[TAG]:
            raise UserError(f"{name}: the figures that MLflow holds are not those that were registered ({TAG}).")
        records = folder / RECORDS
        return EvaluationRecord(
            json.loads((folder / _FIGURES).read_text(encoding="utf-8")),
            read_jsonl(records) if records.exists() else [],
            {(path.parent.name, int(path.stem)): path.read_bytes() for path in sorted(folder.rglob("*.png"))},
        )
