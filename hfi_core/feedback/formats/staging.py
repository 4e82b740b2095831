"""Stage the rows of one import before any of them counts, and sort them into new, known, outdated and rejected.

They lie in a temporary SQLite database, which moves to disk when it outgrows its cache.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hfi_core.feedback.formats.convert import derive_id, format_answer, format_answer_time
from hfi_core.feedback.formats.row import GROUND_TRUTH, NO_ANSWER, REVIEW_REJECTED, RejectedRow, SkippedRow
from hfi_core.feedback.formats.supersession import ResolvedAnswers, StagedAnswer, resolve_chains
from hfi_core.feedback.schema import Judgement, parse_judgement
from hfi_core.feedback.store.entry import format_line, make_entry

_TABLES = """
PRAGMA cache_size = -65536;
PRAGMA journal_mode = OFF;
CREATE TABLE row (
    n INTEGER PRIMARY KEY, location TEXT, id TEXT UNIQUE, derived INTEGER, question TEXT, content TEXT, answered TEXT,
    supersedes TEXT, line TEXT, state TEXT
);
CREATE TABLE stored (id TEXT PRIMARY KEY, question TEXT, content TEXT, answered TEXT, supersedes TEXT) WITHOUT ROWID;
CREATE TABLE repeated (question TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rejected (n INTEGER PRIMARY KEY, location TEXT, reason TEXT);
CREATE INDEX row_question ON row (question);
CREATE INDEX stored_question ON stored (question);
"""
_ANSWER = "location, id, derived, content, answered, supersedes"


@dataclass(frozen=True)
class ImportCounts:
    """Number of rows of an import, by what happens to them."""

    new: int
    known: int
    """Already in the store, or repeated in the file."""
    outdated: int
    """Older than another answer by the annotator, in the store or in the file."""
    skipped: int
    """Without an answer."""
    rejected: int
    review_rejected: int = 0
    """Label Studio: a reviewer rejected the annotation."""
    ground_truth: int = 0
    """Label Studio: the annotation is marked as ground truth."""


class Staging:
    """The rows of one import, in a temporary database."""

    def __init__(self, database: sqlite3.Connection):
        self._database = database
        database.executescript(_TABLES)
        self._skipped: Counter[str] = Counter()
        self.first_skipped: SkippedRow | None = None

    def skip(self, skipped: SkippedRow) -> None:
        """Count a row that has no answer which counts."""
        self._skipped[skipped.reason] += 1
        self.first_skipped = self.first_skipped or skipped

    def reject(self, rejected: RejectedRow) -> None:
        """Record a rejected row."""
        row = (rejected.location, rejected.reason)
        self._database.execute("INSERT INTO rejected (location, reason) VALUES (?, ?)", row)

    def add(self, location: str, judgement: Judgement, derived: bool) -> None:
        """Add a judgement. If its id is known, it must be the same judgement; otherwise the row is rejected."""
        entry = make_entry(judgement)
        row = (
            location, judgement.id, derived, format_answer(judgement), format_answer_time(judgement),
            judgement.supersedes, entry.question, entry.content,
        )  # fmt: skip
        try:
            self._database.execute(
                f"INSERT INTO row ({_ANSWER}, question, line, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'new')", row
            )
        except sqlite3.IntegrityError:
            query = "SELECT location, line FROM row WHERE id = ?"
            earlier_location, earlier = self._database.execute(query, (judgement.id,)).fetchone()
            if derived or entry.content == earlier:
                self._database.execute("INSERT INTO row (location, line, state) VALUES (?, '', 'known')", (location,))
            else:
                self.reject(RejectedRow(location, f"its id {judgement.id!r} is already the id of {earlier_location}"))

    def ids_and_questions(self) -> Iterator[tuple[str, str]]:
        """Yield (id, question) of every row."""
        yield from self._database.execute("SELECT id, question FROM row WHERE id IS NOT NULL ORDER BY n")

    def compare_with_store(self, stored: Iterable[Judgement]) -> None:
        """Compare the rows with the store's judgements that have the same ids or questions."""
        for judgement in stored:
            entry = make_entry(judgement)
            query = "SELECT n, location, line, derived FROM row WHERE id = ? AND state = 'new'"
            row_of_id = self._database.execute(query, (judgement.id,)).fetchone()
            if row_of_id:
                n, location, line, derived = row_of_id
                differs = not derived and line != entry.content
                if differs:
                    self.reject(RejectedRow(location, f"its id {judgement.id!r} is in the store with other content"))
                self._database.execute("UPDATE row SET state = ? WHERE n = ?", ("rejected" if differs else "known", n))
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

    def resolve_answers(self) -> None:
        """Decide which answer counts, for every question that was answered more than once."""
        # In a table of its own, because the loop below changes `row`, and the questions may not fit into memory.
        self._database.execute(
            """INSERT INTO repeated SELECT question FROM (
                SELECT question, supersedes FROM row WHERE state = 'new'
                UNION ALL SELECT question, supersedes FROM stored
            ) GROUP BY question HAVING count(*) > 1 OR count(supersedes) > 0"""
        )
        for (question,) in self._database.execute("SELECT question FROM repeated"):
            rows = self._answers(f"SELECT {_ANSWER} FROM row WHERE question = ? AND state = 'new' ORDER BY n", question)
            stored = self._answers(
                "SELECT '', id, 0, content, answered, supersedes FROM stored WHERE question = ?", question
            )
            if rows:
                self._apply(resolve_chains(rows, stored))

    def counts(self) -> ImportCounts:
        """Count the rows by state."""
        states = dict(self._database.execute("SELECT state, count(*) FROM row GROUP BY state"))
        (rejected,) = self._database.execute("SELECT count(*) FROM rejected").fetchone()
        return ImportCounts(
            states.get("new", 0), states.get("known", 0), states.get("outdated", 0), self._skipped[NO_ANSWER], rejected,
            self._skipped[REVIEW_REJECTED], self._skipped[GROUND_TRUTH],
        )  # fmt: skip

    def rejected(self) -> Iterator[RejectedRow]:
        """Yield the rejected rows in the order in which they were rejected."""
        for location, reason in self._database.execute("SELECT location, reason FROM rejected ORDER BY n"):
            yield RejectedRow(location, reason)

    def judgements(self, final_pseudonyms: Mapping[str, str]) -> Iterator[Judgement]:
        """Yield the new judgements under the annotators' final pseudonyms."""
        for derived, line in self._database.execute("SELECT derived, line FROM row WHERE state = 'new' ORDER BY n"):
            yield self._with_pseudonym(parse_judgement(line), derived, final_pseudonyms)

    def preview(self, count: int) -> list[tuple[str, Judgement]]:
        """Return the first rows as (location, judgement)."""
        query = "SELECT location, line FROM row WHERE line != '' ORDER BY n LIMIT ?"
        return [(location, parse_judgement(line)) for location, line in self._database.execute(query, (count,))]

    def _with_pseudonym(self, judgement: Judgement, derived: bool, final_pseudonyms: Mapping[str, str]) -> Judgement:
        """Replace a provisional pseudonym, and the ids in `id` and `supersedes` that were derived from it."""
        name = final_pseudonyms.get(judgement.annotator, judgement.annotator)
        if name == judgement.annotator:
            return judgement
        named = judgement.model_copy(update={"annotator": name})
        changed = {"id": derive_id(named)} if derived else {}
        if judgement.supersedes is not None:
            query = "SELECT derived, line FROM row WHERE id = ?"
            derived_target, line = self._database.execute(query, (judgement.supersedes,)).fetchone()
            if derived_target:
                changed["supersedes"] = derive_id(parse_judgement(line).model_copy(update={"annotator": name}))
        return named.model_copy(update=changed)

    def _answers(self, query: str, question: str) -> list[StagedAnswer]:
        return [StagedAnswer(*row) for row in self._database.execute(query, (question,))]

    def _apply(self, resolved: ResolvedAnswers) -> None:
        for answer, reason in resolved.rejected:
            self.reject(RejectedRow(answer.location, reason))
        rejected = [answer for answer, _ in resolved.rejected]
        for state, answers in (("known", resolved.known), ("outdated", resolved.outdated), ("rejected", rejected)):
            self._database.executemany(
                "UPDATE row SET state = ? WHERE id = ?", [(state, answer.id) for answer in answers]
            )
        for answer in resolved.correcting:
            (line,) = self._database.execute("SELECT line FROM row WHERE id = ?", (answer.id,)).fetchone()
            judgement = parse_judgement(line).model_copy(update={"supersedes": answer.supersedes})
            self._database.execute("UPDATE row SET line = ? WHERE id = ?", (format_line(judgement), answer.id))
