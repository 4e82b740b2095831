"""Judgements by question, as tools have them that put all the answers under one task."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement, parse_judgement

PictureAddress = Callable[[str, str], str]
"""`place(concept, picture)`: the address under which the other tool finds the picture."""


def group_by_question(
    judgements: Iterable[BinaryJudgement | RankingJudgement], place: PictureAddress
) -> Iterator[tuple[dict[str, Any], Iterator[BinaryJudgement | RankingJudgement]]]:
    """Yield (a task's data, its judgements sorted by id); in constant memory, since they lie in a temporary file."""
    with closing(sqlite3.connect("")) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(
            "CREATE TABLE asked (question TEXT, id TEXT, line TEXT, PRIMARY KEY (question, id)) WITHOUT ROWID"
        )
        database.executemany(
            "INSERT INTO asked VALUES (?, ?, ?)",
            ((_question(judgement), judgement.id, json.dumps(dump_judgement(judgement))) for judgement in judgements),
        )
        rows = database.execute("SELECT question, line FROM asked ORDER BY question, id")
        for question, group in groupby(rows, key=lambda row: row[0]):
            yield _data(json.loads(question), place), (parse_judgement(line) for _, line in group)


def make_binary_data(concept: str, picture: str, sha256: str, place: PictureAddress) -> dict[str, Any]:
    """A task that asks about one picture."""
    return {"concept": concept, "image": place(concept, picture), "picture": picture, "sha256": sha256}


def make_ranking_data(concept: str, pictures: Iterable[str], place: PictureAddress) -> dict[str, Any]:
    """A task that asks for the order of several pictures; Label Studio's List shows the HTML of an item."""
    items = [
        {"id": picture, "title": picture, "html": f'<img src="{place(concept, picture)}" style="max-width: 100%">'}
        for picture in pictures
    ]
    return {"concept": concept, "items": items}


def _question(judgement: BinaryJudgement | RankingJudgement) -> str:
    concept = judgement.concept
    if isinstance(judgement, BinaryJudgement):
        return json.dumps([concept, judgement.kind, judgement.picture, judgement.sha256])
    return json.dumps([concept, judgement.kind, *sorted(judgement.pictures)])


def _data(question: list[str], place: PictureAddress) -> dict[str, Any]:
    concept, kind, *rest = question
    return make_binary_data(concept, *rest, place) if kind == "binary" else make_ranking_data(concept, rest, place)
