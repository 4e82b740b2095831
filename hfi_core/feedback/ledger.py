"""Which judgements of a feedback file count: one a person and question, and none that was superseded.

The live store keeps every judgement for ever, also those on pictures that were removed or redrawn since. In its
snapshots they are counted and left out; in a file that somebody made they are a mistake.

Whether an id is there twice can be said only at the end of a file of any length, so ids lie in SQLite's temporary
database, which goes to disk where it outgrows its cache.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.reader import check_kind, check_pictures, read_judgements, refuse
from hfi_core.feedback.schema import Answer, BinaryJudgement, RankingJudgement, is_adjudication, is_current

_CACHE_KIB = 64 * 1024
_TABLES = f"""
PRAGMA cache_size = -{_CACHE_KIB};
PRAGMA journal_mode = OFF;
CREATE TABLE judgement (
    id TEXT PRIMARY KEY, line INTEGER, annotator TEXT, concept TEXT, subject TEXT, question TEXT, answer TEXT,
    supersedes TEXT, simulated INTEGER, seconds REAL, stale INTEGER, decision INTEGER
) WITHOUT ROWID;
CREATE INDEX superseding ON judgement (supersedes) WHERE supersedes IS NOT NULL;
CREATE INDEX asked ON judgement (concept, subject, annotator, question);
CREATE VIEW latest AS SELECT * FROM judgement AS one
    WHERE NOT EXISTS (SELECT 1 FROM judgement AS later WHERE later.supersedes = one.id);
CREATE VIEW counting AS SELECT * FROM latest WHERE NOT stale;
CREATE VIEW unaided AS WITH RECURSIVE replaced(id) AS (
    SELECT supersedes FROM judgement WHERE supersedes IS NOT NULL AND NOT decision
    UNION SELECT one.supersedes FROM judgement AS one JOIN replaced ON one.id = replaced.id
        WHERE one.supersedes IS NOT NULL
) SELECT * FROM judgement WHERE NOT decision AND NOT stale AND id NOT IN (SELECT id FROM replaced);
"""


@dataclass(frozen=True)
class Tally:
    """The votes on one picture."""

    picture: str
    yes: int
    no: int
    cant_tell: int


@dataclass(frozen=True)
class Vote:
    """One annotator's answer about one picture."""

    picture: str
    annotator: str
    answer: Answer


@dataclass(frozen=True)
class Order:
    """One annotator's ranking; `subject` is equal for rankings of the same pictures."""

    subject: str
    annotator: str
    groups: tuple[tuple[str, ...], ...]
    not_applicable: tuple[str, ...]


@dataclass(frozen=True)
class Totals:
    """How many judgements count for a concept, by how many people."""

    judgements: int
    superseded: int
    annotators: int
    simulated: bool
    stale: int
    """Judgements that count no more, since their pictures were removed or redrawn."""


class Ledger:
    """The judgements on one concept that count, or the `unaided` ones; the order does not depend on the file's."""

    def __init__(self, database: sqlite3.Connection, concept: str, view: Literal["counting", "unaided"] = "counting"):
        self._database, self._concept, self._view = database, concept, view

    def unaided(self) -> "Ledger":
        """What people said by themselves: no lead's decisions, but the lead's own answers that these superseded."""
        return Ledger(self._database, self._concept, "unaided")

    def totals(self) -> Totals:
        """Figures over all counting judgements."""
        every, simulated = self._row("SELECT count(*), max(simulated) FROM judgement WHERE concept = ? AND NOT stale")
        counting, annotators = self._row("SELECT count(*), count(DISTINCT annotator) FROM counting WHERE concept = ?")
        (stale,) = self._row("SELECT count(*) FROM latest WHERE concept = ? AND stale")
        return Totals(counting, every - counting, annotators, bool(simulated), stale)

    def tallies(self) -> Iterator[Tally]:
        """Votes by picture (binary feedback)."""
        query = f"""SELECT subject, sum(answer = 'yes'), sum(answer = 'no'), sum(answer = 'cant_tell')
            FROM {self._view} WHERE concept = ? GROUP BY subject ORDER BY subject"""
        return (Tally(*row) for row in self._database.execute(query, (self._concept,)))

    def votes(self) -> Iterator[Vote]:
        """Single answers (binary feedback), those on the same picture one after the other."""
        query = f"SELECT subject, annotator, answer FROM {self._view} WHERE concept = ? ORDER BY subject, annotator"
        return (Vote(*row) for row in self._database.execute(query, (self._concept,)))

    def pace(self) -> Iterator[tuple[str, float | None]]:
        """Annotator and seconds from question to answer (None where no times were kept), by annotator."""
        query = f"SELECT annotator, seconds FROM {self._view} WHERE concept = ? ORDER BY annotator, id"
        return iter(self._database.execute(query, (self._concept,)))

    def orders(self) -> Iterator[Order]:
        """Rankings, those of the same pictures one after the other."""
        query = f"SELECT subject, annotator, answer FROM {self._view} WHERE concept = ? ORDER BY subject, annotator"
        for subject, annotator, answer in self._database.execute(query, (self._concept,)):
            groups, not_applicable = json.loads(answer)
            yield Order(subject, annotator, tuple(map(tuple, groups)), tuple(not_applicable))

    def _row(self, query: str) -> tuple:
        return self._database.execute(query, (self._concept,)).fetchone()


@contextmanager
def open_ledger(
    path: Path, concept: str, kind: str, candidates: Mapping[str, Candidate], *, live: bool = False
) -> Iterator[Ledger]:
    """Read a feedback file and yield what counts for a concept.

    `live`: the file is a snapshot of the live store, which may hold judgements on pictures that were removed or redrawn
    since. Raises UserError that names file, line, field and remedy of the first mistake.
    """
    with closing(sqlite3.connect("")) as database:
        database.executescript(_TABLES)
        for number, judgement in read_judgements(path):
            stale, question = False, _pictures_of(judgement)
            if judgement.concept == concept:
                check_kind(path, number, judgement, kind)
                stale = live and not is_current(judgement, candidates)
                if not stale:
                    check_pictures(path, number, judgement, candidates)
                    question = ""  # about the pictures as they are, whether or not it notes their digests
            _enter(database, path, number, judgement, question, stale)
        _check_superseding(database, path)
        _check_once(database, path)
        _check_any(database, path, concept)
        yield Ledger(database, concept)


def _enter(
    database: sqlite3.Connection,
    path: Path,
    number: int,
    judgement: BinaryJudgement | RankingJudgement,
    question: str,
    stale: bool,
) -> None:
    if isinstance(judgement, BinaryJudgement):
        subject, answer = judgement.picture, judgement.answer
    else:
        subject = ", ".join(sorted(judgement.pictures))
        answer = json.dumps([judgement.groups, judgement.not_applicable])
    timed = judgement.shown_at and judgement.answered_at
    row = (
        judgement.id, number, judgement.annotator, judgement.concept, subject, question, answer, judgement.supersedes,
        judgement.simulated, (judgement.answered_at - judgement.shown_at).total_seconds() if timed else None, stale,
        is_adjudication(judgement),
    )  # fmt: skip
    try:
        database.execute("INSERT INTO judgement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    except sqlite3.IntegrityError:
        (first,) = database.execute("SELECT line FROM judgement WHERE id = ?", (judgement.id,)).fetchone()
        refuse(
            path, number, "id", f"{judgement.id!r} is that of line {first} already",
            "take one of the lines out, or name the judgements apart",
        )  # fmt: skip


def _pictures_of(judgement: BinaryJudgement | RankingJudgement) -> str:
    """Tells apart questions about pictures of one id, of which one was redrawn."""
    return json.dumps(sorted(judgement.seen.items()))


def _check_superseding(database: sqlite3.Connection, path: Path) -> None:
    stray = database.execute(
        """SELECT later.line, later.supersedes, one.id IS NOT NULL
        FROM judgement AS later LEFT JOIN judgement AS one ON one.id = later.supersedes
        WHERE later.supersedes IS NOT NULL AND (one.id IS NULL OR
            (one.annotator, one.concept, one.subject) != (later.annotator, later.concept, later.subject))
        ORDER BY later.line LIMIT 1"""
    ).fetchone()
    if stray:
        number, earlier, found = stray
        what = "is by another annotator, or about something else" if found else "is not in the file"
        remedy = "`supersedes` names an earlier judgement by the same annotator on the same question"
        refuse(path, number, "supersedes", f"{earlier!r} {what}", remedy)
    circle = database.execute(
        """WITH RECURSIVE resting(id, supersedes) AS (
            SELECT id, supersedes FROM latest
            UNION SELECT one.id, one.supersedes FROM judgement AS one JOIN resting ON one.id = resting.supersedes
        ) SELECT line, supersedes FROM judgement WHERE supersedes IS NOT NULL AND id NOT IN (SELECT id FROM resting)
        ORDER BY line LIMIT 1"""
    ).fetchone()
    if circle:
        number, earlier = circle
        remedy = "leave `supersedes` out of the earliest judgement"
        refuse(path, number, "supersedes", f"{earlier!r} is in turn superseded by this one", remedy)


def _check_once(database: sqlite3.Connection, path: Path) -> None:
    twice = database.execute(
        """SELECT min(line), max(line), annotator FROM latest
        GROUP BY concept, subject, annotator, question HAVING count(*) > 1 ORDER BY 1 LIMIT 1"""
    ).fetchone()
    if twice:
        first, number, annotator = twice
        refuse(
            path, number, "annotator", f"{annotator!r} answered the same question in line {first}",
            "name the earlier judgement's id in `supersedes` of the later one, or take one out",
        )  # fmt: skip


def _check_any(database: sqlite3.Connection, path: Path, concept: str) -> None:
    found = [name for (name,) in database.execute("SELECT DISTINCT concept FROM judgement ORDER BY concept LIMIT 20")]
    if concept not in found:
        others = f"it is about {', '.join(found)}" if found else "it is empty"
        raise UserError(
            f"{path} holds no judgement on the concept {concept!r}: {others}.\n"
            "  To mend it: have its candidates judged, or name the concept in params.yaml as the file does."
        )
