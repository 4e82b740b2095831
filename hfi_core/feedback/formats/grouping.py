"""Group judgements by question, for tools that keep all answers to a question under one task."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement, parse_judgement

PictureAddress = Callable[[str, str], str]
"""`picture_address(concept, picture)` returns the address under which the other tool finds the picture."""


def group_by_question(
    judgements: Iterable[BinaryJudgement | RankingJudgement], picture_address: PictureAddress
) -> Iterator[tuple[dict[str, Any], Iterator[BinaryJudgement | RankingJudgement]]]:
    """Yield (a task's data, its judgements sorted by id). They lie in a temporary file, so memory stays constant."""
    with closing(sqlite3.connect("")) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(
            "CREATE TABLE judgement (question TEXT, id TEXT, line TEXT, PRIMARY KEY (question, id)) WITHOUT ROWID"
        )
        database.executemany(
            "INSERT INTO judgement VALUES (?, ?, ?)",
            (
                (_question_key(judgement), judgement.id, json.dumps(dump_judgement(judgement)))
                for judgement in judgements
            ),
        )
        rows = database.execute("SELECT question, line FROM judgement ORDER BY question, id")
        for question, group in groupby(rows, key=lambda row: row[0]):
            yield _make_data(json.loads(question), picture_address), (parse_judgement(line) for _, line in group)


def make_binary_data(concept: str, picture: str, sha256: str, picture_address: PictureAddress) -> dict[str, Any]:
    """Make the data of a task that asks about one picture."""
    return {"concept": concept, "image": picture_address(concept, picture), "picture": picture, "sha256": sha256}


def make_ranking_data(concept: str, pictures: Iterable[str], picture_address: PictureAddress) -> dict[str, Any]:
    """Make the data of a task that asks for the order of several pictures. Label Studio's List shows an item's HTML."""
    items = [
        {
            "id": picture,
            "title": picture,
            "html": f'<img src="{picture_address(concept, picture)}" style="max-width: 100%">',
        }
        for picture in pictures
    ]
    return {"concept": concept, "items": items}


def _question_key(judgement: BinaryJudgement | RankingJudgement) -> str:
    concept = judgement.concept
    if isinstance(judgement, BinaryJudgement):
        return json.dumps([concept, judgement.kind, judgement.picture, judgement.sha256])
    return json.dumps([concept, judgement.kind, *sorted(judgement.pictures)])


def _make_data(question: list[str], picture_address: PictureAddress) -> dict[str, Any]:
    concept, kind, *rest = question
    if kind == "binary":
        picture, digest = rest
        return make_binary_data(concept, picture, digest, picture_address)
    return make_ranking_data(concept, rest, picture_address)
