"""Select the judgements of a feedback file that count: the latest one per person and question.

The live store keeps every judgement for ever, also those on pictures that were removed or redrawn since. In a snapshot
of the store such judgements are counted as stale and left out. In any other file they are an error.

Duplicates can be anywhere in the file, so all judgements go into a temporary SQLite database, which moves to disk when
it outgrows its cache.
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
from hfi_core.feedback.reader import check_kind, check_pictures, read_judgements, reject_line
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
CREATE INDEX by_question ON judgement (concept, subject, annotator, question);
CREATE VIEW latest AS SELECT * FROM judgement AS earlier
    WHERE NOT EXISTS (SELECT 1 FROM judgement AS later WHERE later.supersedes = earlier.id);
CREATE VIEW counting AS SELECT * FROM latest WHERE NOT stale;
CREATE VIEW unaided AS WITH RECURSIVE replaced(id) AS (
    SELECT supersedes FROM judgement WHERE supersedes IS NOT NULL AND NOT decision
    UNION SELECT earlier.supersedes FROM judgement AS earlier JOIN replaced ON earlier.id = replaced.id
        WHERE earlier.supersedes IS NOT NULL
) SELECT * FROM judgement WHERE NOT decision AND NOT stale AND id NOT IN (SELECT id FROM replaced);
"""


@dataclass(frozen=True)
class Tally:
    """Counts of the votes on one picture."""

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
class Ranking:
    """One annotator's ranking. Rankings of the same pictures have the same `subject`."""

    subject: str
    annotator: str
    groups: tuple[tuple[str, ...], ...]
    not_applicable: tuple[str, ...]


@dataclass(frozen=True)
class Totals:
    """Number of judgements that count for a concept, and of their annotators."""

    judgements: int
    superseded: int
    annotators: int
    simulated: bool
    stale: int
    """Judgements that no longer count, because their pictures were removed or redrawn."""


class Ledger:
    """The judgements on one concept that count, or only the unaided ones. Their order does not depend on the file's."""

    def __init__(self, database: sqlite3.Connection, concept: str, view: Literal["counting", "unaided"] = "counting"):
        self._database, self._concept, self._view = database, concept, view

    def unaided(self) -> "Ledger":
        """Return the answers that people gave by themselves.

        A lead's decisions are left out; the answers that those superseded are in.
        """
        return Ledger(self._database, self._concept, "unaided")

    def totals(self) -> Totals:
        """Count the judgements, by whether they count, and their annotators."""
        every, simulated = self._row("SELECT count(*), max(simulated) FROM judgement WHERE concept = ? AND NOT stale")
        counting, annotators = self._row("SELECT count(*), count(DISTINCT annotator) FROM counting WHERE concept = ?")
        (stale,) = self._row("SELECT count(*) FROM latest WHERE concept = ? AND stale")
        return Totals(counting, every - counting, annotators, bool(simulated), stale)

    def tallies(self) -> Iterator[Tally]:
        """Yield the votes by picture (binary feedback)."""
        query = f"""SELECT subject, sum(answer = 'yes'), sum(answer = 'no'), sum(answer = 'cant_tell')
            FROM {self._view} WHERE concept = ? GROUP BY subject ORDER BY subject"""
        return (Tally(*row) for row in self._database.execute(query, (self._concept,)))

    def votes(self) -> Iterator[Vote]:
        """Yield single answers (binary feedback), sorted by picture."""
        query = f"SELECT subject, annotator, answer FROM {self._view} WHERE concept = ? ORDER BY subject, annotator"
        return (Vote(*row) for row in self._database.execute(query, (self._concept,)))

    def answer_times(self) -> Iterator[tuple[str, float | None]]:
        """Yield (annotator, seconds from question to answer), sorted by annotator; None where times are missing."""
        query = f"SELECT annotator, seconds FROM {self._view} WHERE concept = ? ORDER BY annotator, id"
        return iter(self._database.execute(query, (self._concept,)))

    def rankings(self) -> Iterator[Ranking]:
        """Yield rankings, sorted by subject."""
        query = f"SELECT subject, annotator, answer FROM {self._view} WHERE concept = ? ORDER BY subject, annotator"
        for subject, annotator, answer in self._database.execute(query, (self._concept,)):
            groups, not_applicable = json.loads(answer)
            yield Ranking(subject, annotator, tuple(map(tuple, groups)), tuple(not_applicable))

    def _row(self, query: str) -> tuple:
        return self._database.execute(query, (self._concept,)).fetchone()


@contextmanager
def open_ledger(
    path: Path, concept: str, kind: str, candidates: Mapping[str, Candidate], *, live: bool = False
) -> Iterator[Ledger]:
    """Read a feedback file and yield the judgements that count for a concept.

    `live`: the file is a snapshot of the live store, so it may hold judgements on pictures that were removed or redrawn
    since. Raises UserError with file, line, field and remedy of the first mistake.
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
                    question = ""  # it is about the present pictures, whether or not it records their digests
            _insert(database, path, number, judgement, question, stale)
        _check_superseding(database, path)
        _check_unique(database, path)
        _check_concept_present(database, path, concept)
        yield Ledger(database, concept)


def _insert(
    database: sqlite3.Connection,
    path: Path,
    number: int,
    judgement: BinaryJudgement | RankingJudgement,
    question: str,
    stale: bool,
) -> None:
    answer: str
    if isinstance(judgement, BinaryJudgement):
        subject, answer = judgement.picture, judgement.answer
    else:
        subject = ", ".join(sorted(judgement.pictures))
        answer = json.dumps([judgement.groups, judgement.not_applicable])
    shown, answered = judgement.shown_at, judgement.answered_at
    seconds = (answered - shown).total_seconds() if shown and answered and answered >= shown else None
    row = (
        judgement.id, number, judgement.annotator, judgement.concept, subject, question, answer, judgement.supersedes,
        judgement.simulated, seconds, stale,
        is_adjudication(judgement),
    )  # fmt: skip
    try:
        database.execute("INSERT INTO judgement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    except sqlite3.IntegrityError:
        (first,) = database.execute("SELECT line FROM judgement WHERE id = ?", (judgement.id,)).fetchone()
        reject_line(
            path, number, "id", f"{judgement.id!r} is already the id of line {first}",
            "remove one of the lines, or give one of them another id",
        )  # fmt: skip


def _pictures_of(judgement: BinaryJudgement | RankingJudgement) -> str:
    """Return a key that differs if a picture with the same id was redrawn."""
    return json.dumps(sorted(judgement.picture_digests.items()))


def _check_superseding(database: sqlite3.Connection, path: Path) -> None:
    stray = database.execute(
        """SELECT later.line, later.supersedes, earlier.id IS NOT NULL
        FROM judgement AS later LEFT JOIN judgement AS earlier ON earlier.id = later.supersedes
        WHERE later.supersedes IS NOT NULL AND (earlier.id IS NULL OR
            (earlier.annotator, earlier.concept, earlier.subject) != (later.annotator, later.concept, later.subject))
        ORDER BY later.line LIMIT 1"""
    ).fetchone()
    if stray:
        number, earlier, exists = stray
        mistake = "is by another annotator, or on another question" if exists else "is not in the file"
        remedy = "let `supersedes` name an earlier judgement by the same annotator on the same question"
        reject_line(path, number, "supersedes", f"{earlier!r} {mistake}", remedy)
    cycle = database.execute(
        """WITH RECURSIVE reached(id, supersedes) AS (
            SELECT id, supersedes FROM latest
            UNION SELECT earlier.id, earlier.supersedes
                FROM judgement AS earlier JOIN reached ON earlier.id = reached.supersedes
        ) SELECT line, supersedes FROM judgement WHERE supersedes IS NOT NULL AND id NOT IN (SELECT id FROM reached)
        ORDER BY line LIMIT 1"""
    ).fetchone()
    if cycle:
        number, earlier = cycle
        remedy = "remove `supersedes` from the earliest judgement"
        reject_line(path, number, "supersedes", f"{earlier!r} is in turn superseded by this one", remedy)


def _check_unique(database: sqlite3.Connection, path: Path) -> None:
    duplicate = database.execute(
        """SELECT min(line), max(line), annotator FROM latest
        GROUP BY concept, subject, annotator, question HAVING count(*) > 1 ORDER BY 1 LIMIT 1"""
    ).fetchone()
    if duplicate:
        first, number, annotator = duplicate
        reject_line(
            path, number, "annotator", f"{annotator!r} answered the same question in line {first}",
            "name the earlier judgement's id in `supersedes` of the later one, or remove one of them",
        )  # fmt: skip


def _check_concept_present(database: sqlite3.Connection, path: Path, concept: str) -> None:
    present = [name for (name,) in database.execute("SELECT DISTINCT concept FROM judgement ORDER BY concept LIMIT 20")]
    if concept not in present:
        others = f"it is about {', '.join(present)}" if present else "it is empty"
        raise UserError(
            f"{path} holds no judgement on the concept {concept!r}: {others}.\n"
            "  To fix this: have its candidates judged, or give the concept in params.yaml the name that the file uses."
        )
