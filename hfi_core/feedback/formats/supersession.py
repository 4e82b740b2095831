"""Chain one annotator's answers to one question: each later answer supersedes the one before.

A file from another tool does not say which answer corrects which, so the times of the answers decide.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class StagedAnswer:
    """An answer in the file or in the store; `location` is empty for one in the store."""

    location: str
    id: str
    derived: bool
    """Whether its id was derived: it then comes from another tool and has no `supersedes`."""
    content: str
    answered: str | None
    supersedes: str | None


@dataclass
class ResolvedAnswers:
    """What happens to the answers in a file; answers in none of the lists are imported unchanged."""

    rejected: list[tuple[StagedAnswer, str]] = field(default_factory=list)
    known: list[StagedAnswer] = field(default_factory=list)
    outdated: list[StagedAnswer] = field(default_factory=list)
    correcting: list[StagedAnswer] = field(default_factory=list)
    """Answers with the `supersedes` that they get."""


def resolve_chains(rows: list[StagedAnswer], stored: list[StagedAnswer]) -> ResolvedAnswers:
    """Decide what happens to a file's answers to a question, given those in the store."""
    resolved = ResolvedAnswers()
    chain = _chain([*stored, *(row for row in rows if not row.derived)], resolved)
    last = chain[-1] if chain else None
    for row in sorted((row for row in rows if row.derived), key=lambda row: row.answered or ""):
        if last is None:
            last = row
            continue
        timed = row.answered is not None and last.answered is not None
        is_later = timed and (row.answered or "") > (last.answered or "")
        if row.content == last.content and not is_later:
            resolved.known.append(row)
        elif is_later:
            last = replace(row, supersedes=last.id)
            resolved.correcting.append(last)
        elif timed and row.answered != last.answered:
            resolved.outdated.append(row)
        else:
            location = f"in {last.location}" if last.location else "in the store"
            reason = f"the same annotator answered this question differently {location}, and no times say which counts"
            resolved.rejected.append((row, reason))
    return resolved


def _chain(answers: list[StagedAnswer], resolved: ResolvedAnswers) -> list[StagedAnswer]:
    """Return the answers that `supersedes` chains, the first one first. Reject those that do not fit."""
    by_id = {answer.id: answer for answer in answers}
    head: StagedAnswer | None = None
    successors: dict[str, StagedAnswer] = {}
    for answer in answers:  # stored answers come first, so a rejected one is the file's
        if answer.supersedes is None:
            if head is None:
                head = answer
            else:
                location = head.location or "the store"
                resolved.rejected.append(
                    (answer, f"the same annotator answered the same question in {location}; name that in `supersedes`")
                )
        elif answer.supersedes not in by_id:
            resolved.rejected.append(
                (
                    answer,
                    f"`supersedes` names {answer.supersedes!r}, but neither the file nor the store has such an answer "
                    "by the same annotator to the same question",
                )
            )
        elif answer.supersedes in successors:
            other = successors[answer.supersedes].id
            resolved.rejected.append(
                (answer, f"`supersedes` names {answer.supersedes!r}, which {other!r} already supersedes")
            )
        else:
            successors[answer.supersedes] = answer
    chain = [head] if head else []
    while chain and chain[-1].id in successors:
        chain.append(successors.pop(chain[-1].id))
    rejected_ids = {answer.id for answer, _ in resolved.rejected}
    for answer in successors.values():
        if answer.id not in rejected_ids and answer.location:
            resolved.rejected.append((answer, f"`supersedes` names {answer.supersedes!r}, which does not count itself"))
    return chain
