"""What an annotator can choose to do: judge one concept, or several at once where they share pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hfi_core.candidates.manifest import Candidate
from hfi_core.params import Params


@dataclass(frozen=True)
class Task:
    """A kind of question, about one concept or (binary, shared pictures) about several."""

    name: str
    kind: Literal["binary", "ranking"]
    concepts: tuple[str, ...]


def tasks_of(params: Params, candidates: Mapping[str, Mapping[str, Candidate]]) -> tuple[Task, ...]:
    """Every concept is in one task; binary concepts whose manifests hold the same pictures are asked together."""
    tasks: list[Task] = []
    groups: list[tuple[list[str], set[str]]] = []
    for concept, choice in params.concepts.items():
        if choice.feedback == "ranking":
            tasks.append(Task(concept, "ranking", (concept,)))
            continue
        names, pictures = [concept], {candidate.sha256 for candidate in candidates[concept].values()}
        for group in [group for group in groups if group[1] & pictures]:
            groups.remove(group)
            names, pictures = group[0] + names, group[1] | pictures
        groups.append((names, pictures))
    order = list(params.concepts)
    tasks += [Task(".".join(names), "binary", tuple(names)) for names, _ in groups]
    return tuple(sorted(tasks, key=lambda task: order.index(task.concepts[0])))
