"""Build the tasks that annotators choose from: one concept, or several concepts that share pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hfi_core.candidates.manifest import Candidate
from hfi_core.params import Concept


@dataclass(frozen=True)
class Task:
    """One kind of question about one concept, or about several binary concepts that share pictures."""

    name: str
    kind: Literal["binary", "ranking"]
    concepts: tuple[str, ...]


def build_tasks(concepts: Mapping[str, Concept], candidates: Mapping[str, Mapping[str, Candidate]]) -> tuple[Task, ...]:
    """Return the tasks. Binary concepts that share pictures form one task; every other concept has its own."""
    tasks: list[Task] = []
    groups: list[tuple[list[str], set[str]]] = []
    for concept, choice in concepts.items():
        if choice.feedback == "ranking":
            tasks.append(Task(concept, "ranking", (concept,)))
            continue
        names, pictures = [concept], {candidate.sha256 for candidate in candidates[concept].values()}
        for group in [group for group in groups if group[1] & pictures]:
            groups.remove(group)
            names, pictures = group[0] + names, group[1] | pictures
        groups.append((names, pictures))
    order = list(concepts)
    tasks += [Task(".".join(names), "binary", tuple(names)) for names, _ in groups]
    return tuple(sorted(tasks, key=lambda task: order.index(task.concepts[0])))
