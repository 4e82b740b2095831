"""One annotator's answers to one question: one begins, and each later one supersedes the one before.

A file from another tool does not say which answer corrects which; the times of the answers do.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class StagedAnswer:
    """An answer as the decision needs it; `place` is empty for one that is in the store."""

    place: str
    id: str
    derived: bool
    """Its id was derived, so it comes from another tool and names no `supersedes`."""
    content: str
    answered: str | None
    supersedes: str | None


@dataclass
class ResolvedAnswers:
    """What becomes of the answers in a file; those that are in no list stand as they are."""

    rejected: list[tuple[StagedAnswer, str]] = field(default_factory=list)
    known: list[StagedAnswer] = field(default_factory=list)
    outdated: list[StagedAnswer] = field(default_factory=list)
    correcting: list[StagedAnswer] = field(default_factory=list)
    """With the `supersedes` that they get."""


def resolve_chains(rows: list[StagedAnswer], there: list[StagedAnswer]) -> ResolvedAnswers:
    """Decide about the answers in a file, beside those in the store."""
    settled = ResolvedAnswers()
    chain = _chain([*there, *(row for row in rows if not row.derived)], settled)
    last = chain[-1] if chain else None
    for row in sorted((row for row in rows if row.derived), key=lambda row: row.answered or ""):
        if last is None:
            last = row
            continue
        timed = row.answered is not None and last.answered is not None
        if row.content == last.content and not (timed and row.answered > last.answered):
            settled.known.append(row)
        elif timed and row.answered > last.answered:
            last = replace(row, supersedes=last.id)
            settled.correcting.append(last)
        elif timed and row.answered < last.answered:
            settled.outdated.append(row)
        else:
            where = f"in {last.place}" if last.place else "in the store"
            settled.rejected.append(
                (row, f"the same annotator answered the same question otherwise {where}, and no times say which counts")
            )
    return settled


def _chain(answers: list[StagedAnswer], settled: ResolvedAnswers) -> list[StagedAnswer]:
    """The answers whose order is said, the first one first; what does not fit into it is rejected."""
    by_id = {answer.id: answer for answer in answers}
    begin: StagedAnswer | None = None
    after: dict[str, StagedAnswer] = {}
    for answer in answers:  # those in the store come first, so the rejected one is the file's
        if answer.supersedes is None:
            if begin is None:
                begin = answer
            else:
                where = begin.place or "the store"
                settled.rejected.append(
                    (answer, f"the same annotator answered the same question in {where}; name that in `supersedes`")
                )
        elif answer.supersedes not in by_id:
            settled.rejected.append(
                (
                    answer,
                    f"`supersedes` names {answer.supersedes!r}, which is no answer by the same annotator to the same "
                    "question, neither in the file nor in the store",
                )
            )
        elif answer.supersedes in after:
            other = after[answer.supersedes].id
            settled.rejected.append((answer, f"`supersedes` names {answer.supersedes!r}, which {other!r} does already"))
        else:
            after[answer.supersedes] = answer
    chain = [begin] if begin else []
    while chain and chain[-1].id in after:
        chain.append(after.pop(chain[-1].id))
    refused = {answer.id for answer, _ in settled.rejected}
    for answer in after.values():
        if answer.id not in refused and answer.place:
            settled.rejected.append((answer, f"`supersedes` names {answer.supersedes!r}, which does not count itself"))
    return chain
