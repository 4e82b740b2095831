"""The formats by name. A new one is a file beside this one and a row here."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hfi_core.feedback.formats import delimited, jsonl
from hfi_core.feedback.formats.grouping import PictureAddress
from hfi_core.feedback.formats.label_studio import export, json_min
from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row, SkippedRow
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement

Judgements = Iterable[BinaryJudgement | RankingJudgement]


@dataclass(frozen=True)
class Format:
    """How one format is read and written. A reader never raises for what is in the file, it rejects."""

    title: str
    read: Callable[[BinaryIO, ReadOptions], Iterator[Row | RejectedRow | SkippedRow]]
    write: Callable[[Path, Judgements, PictureAddress], int]


FORMATS: dict[str, Format] = {
    "jsonl": Format("JSON Lines", jsonl.read, lambda path, judgements, place: jsonl.write(path, judgements)),
    "csv": Format("CSV", delimited.read_csv, lambda path, judgements, place: delimited.write_csv(path, judgements)),
    "tsv": Format("TSV", delimited.read_tsv, lambda path, judgements, place: delimited.write_tsv(path, judgements)),
    "label-studio": Format("Label Studio JSON", export.read, export.write),
    "label-studio-min": Format("Label Studio JSON_MIN", json_min.read, json_min.write),
}
