"""The rows of one import, before any of them counts: which are new, known already, outdated, or rejected.

They lie in SQLite's temporary database, which goes to disk where it outgrows its cache.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hfi_core.feedback.formats.convert import derive_id, format_answer, format_answer_time
from hfi_core.feedback.formats.row import RejectedRow
from hfi_core.feedback.formats.supersession import ResolvedAnswers, StagedAnswer, resolve_chains
from hfi_core.feedback.schema import Judgement, parse_judgement
from hfi_core.feedback.store.entry import format_line, make_entry

_TABLES = """
PRAGMA cache_size = -65536;
PRAGMA journal_mode = OFF;
CREATE TABLE row (
    n INTEGER PRIMARY KEY, place TEXT, id TEXT UNIQUE, derived INTEGER, question TEXT, content TEXT, answered TEXT,
    supersedes TEXT, line TEXT, state TEXT
);
CREATE TABLE stored (id TEXT PRIMARY KEY, question TEXT, content TEXT, answered TEXT, supersedes TEXT) WITHOUT ROWID;
CREATE TABLE several (question TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rejected (n INTEGER PRIMARY KEY, place TEXT, reason TEXT);
CREATE INDEX row_question ON row (question);
CREATE INDEX stored_question ON stored (question);
"""
_ANSWER = "place, id, derived, content, answered, supersedes"


@dataclass(frozen=True)
class ImportCounts:
    """What an import comes to."""

    new: int
    known: int
    """In the store already, or twice in the file."""
    outdated: int
    """Older than the annotator's answer that is in the store, or later in the file."""
    passed_over: int
    rejected: int


class Staging:
    """The rows of one import."""

    def __init__(self, database: sqlite3.Connection):
        self._database = database
        database.executescript(_TABLES)
        self.passed_over = 0

    def reject(self, rejected: RejectedRow) -> None:
        """Keep a rejected row."""
        self._database.execute("INSERT INTO rejected (place, reason) VALUES (?, ?)", (rejected.where, rejected.reason))

    def enter(self, where: str, judgement: Judgement, derived: bool) -> None:
        """Take in a judgement. An id that is there already is the same judgement, or else a mistake."""
        entry = make_entry(judgement)
        row = (
            where, judgement.id, derived, format_answer(judgement), format_answer_time(judgement), judgement.supersedes,
            entry.question, entry.content,
        )  # fmt: skip
        try:
            self._database.execute(
                f"INSERT INTO row ({_ANSWER}, question, line, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'new')", row
            )
        except sqlite3.IntegrityError:
            query = "SELECT place, line FROM row WHERE id = ?"
            first, earlier = self._database.execute(query, (judgement.id,)).fetchone()
            if derived or entry.content == earlier:
                self._database.execute("INSERT INTO row (place, line, state) VALUES (?, '', 'known')", (where,))
            else:
                self.reject(RejectedRow(where, f"its id {judgement.id!r} is that of {first} already"))

    def asked(self) -> Iterator[tuple[str, str]]:
        """Id and question of every row."""
        yield from self._database.execute("SELECT id, question FROM row WHERE id IS NOT NULL ORDER BY n")

    def compare(self, there: Iterable[Judgement]) -> None:
        """Hold the rows against what the store has about the same questions, and under the same ids."""
        for judgement in there:
            entry = make_entry(judgement)
            query = "SELECT n, place, line, derived FROM row WHERE id = ? AND state = 'new'"
            same = self._database.execute(query, (judgement.id,)).fetchone()
            if same:
                n, place, line, derived = same
                if not derived and line != entry.content:
                    self.reject(RejectedRow(place, f"its id {judgement.id!r} is in the store with another content"))
                self._database.execute("UPDATE row SET state = 'known' WHERE n = ?", (n,))
            if self._database.execute("SELECT 1 FROM row WHERE question = ? LIMIT 1", (entry.question,)).fetchone():
                self._database.execute(
                    "INSERT OR IGNORE INTO stored VALUES (?, ?, ?, ?, ?)",
                    (
                        judgement.id,
                        entry.question,
                        format_answer(judgement),
                        format_answer_time(judgement),
                        judgement.supersedes,
                    ),
                )

    def settle(self) -> None:
        """Decide for every question that was answered more than once which answer counts."""
        # Kept apart, so that deciding about one changes nothing under the query, and no list of all is in memory.
        self._database.execute(
            """INSERT INTO several SELECT question FROM (
                SELECT question, supersedes FROM row WHERE state = 'new'
                UNION ALL SELECT question, supersedes FROM stored
            ) GROUP BY question HAVING count(*) > 1 OR count(supersedes) > 0"""
        )
        for (question,) in self._database.execute("SELECT question FROM several"):
            rows = self._answers(f"SELECT {_ANSWER} FROM row WHERE question = ? AND state = 'new' ORDER BY n", question)
            there = self._answers(
                "SELECT '', id, 0, content, answered, supersedes FROM stored WHERE question = ?", question
            )
            if rows:
                self._decide(resolve_chains(rows, there))

    def counts(self) -> ImportCounts:
        """How many of which."""
        states = dict(self._database.execute("SELECT state, count(*) FROM row GROUP BY state"))
        (rejected,) = self._database.execute("SELECT count(*) FROM rejected").fetchone()
        return ImportCounts(
            states.get("new", 0), states.get("known", 0), states.get("outdated", 0), self.passed_over, rejected
        )

    def rejected(self) -> Iterator[RejectedRow]:
        """Every rejected row, in the order in which it was found."""
        for place, reason in self._database.execute("SELECT place, reason FROM rejected ORDER BY n"):
            yield RejectedRow(place, reason)

    def judgements(self, renamed: Mapping[str, str]) -> Iterator[Judgement]:
        """The new judgements, under the annotators' lasting pseudonyms."""
        for derived, line in self._database.execute("SELECT derived, line FROM row WHERE state = 'new' ORDER BY n"):
            yield self._under(parse_judgement(line), derived, renamed)

    def first(self, count: int) -> list[tuple[str, Judgement]]:
        """The first rows, as they were read."""
        query = "SELECT place, line FROM row WHERE line != '' ORDER BY n LIMIT ?"
        return [(place, parse_judgement(line)) for place, line in self._database.execute(query, (count,))]

    def _under(self, judgement: Judgement, derived: bool, renamed: Mapping[str, str]) -> Judgement:
        """A derived id rests on the pseudonym, so it changes with it, and so does who supersedes it."""
        name = renamed.get(judgement.annotator, judgement.annotator)
        if name == judgement.annotator:
            return judgement
        named = judgement.model_copy(update={"annotator": name})
        changed = {"id": derive_id(named)} if derived else {}
        if judgement.supersedes is not None:
            query = "SELECT derived, line FROM row WHERE id = ?"
            of, line = self._database.execute(query, (judgement.supersedes,)).fetchone()
            if of:
                changed["supersedes"] = derive_id(parse_judgement(line).model_copy(update={"annotator": name}))
        return named.model_copy(update=changed)

    def _answers(self, query: str, question: str) -> list[StagedAnswer]:
        return [StagedAnswer(*row) for row in self._database.execute(query, (question,))]

    def _decide(self, settled: ResolvedAnswers) -> None:
        for answer, reason in settled.rejected:
            self.reject(RejectedRow(answer.place, reason))
        for state, answers in (("known", settled.known), ("outdated", settled.outdated)):
            self._database.executemany(
                "UPDATE row SET state = ? WHERE id = ?", [(state, answer.id) for answer in answers]
            )
        for answer in settled.correcting:
            (line,) = self._database.execute("SELECT line FROM row WHERE id = ?", (answer.id,)).fetchone()
            judgement = parse_judgement(line).model_copy(update={"supersedes": answer.supersedes})
            self._database.execute("UPDATE row SET line = ? WHERE id = ?", (format_line(judgement), answer.id))
