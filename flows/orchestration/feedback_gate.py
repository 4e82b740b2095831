"""Hold a run until people have judged enough: measure the feedback, show what is missing, suspend the run.

This applies only if judgements come from the live store (`feedback.store`). DVC is the only cache: a resumed run starts
from the top, finds what was made before the wait, and continues.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.orchestration.runs import PAUSE_KEY
from hfi_core.candidates.manifest import MANIFEST, read_manifest
from hfi_core.feedback.sufficiency import FeedbackSufficiency, assess_sufficiency
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit, judgement_readers


@dataclass(frozen=True)
class NeedsPeople:
    """Result of a run that ended because feedback is missing and the run cannot be suspended."""

    insufficient: tuple[FeedbackSufficiency, ...]


def offer_and_measure(params: Params, units: Iterable[Unit]) -> tuple[FeedbackSufficiency, ...]:
    """Offer the candidates to the store, so that people are asked about them. Return whether judgements suffice.

    Raises UserError if the candidates are too few for any judgements to be enough.
    """
    return _measure(params, units, offer=True)


def measure(params: Params, units: Iterable[Unit]) -> tuple[FeedbackSufficiency, ...]:
    """Return whether the store's judgements suffice, by concept that has candidates; change nothing."""
    return _measure(params, units, offer=False)


def _measure(params: Params, units: Iterable[Unit], offer: bool) -> tuple[FeedbackSufficiency, ...]:
    concepts = [(unit.unit, unit.inputs["candidates"]) for unit in judgement_readers(params, units)]
    if not concepts:
        return ()
    from hfi_core.feedback.gold import list_askable_candidates
    from hfi_core.feedback.store import open_store, store_exists

    if not store_exists(params.feedback.database_url):
        return ()  # a clone, which learns from the snapshot that came with it
    feedback = []
    with open_store(params.feedback.database_url) as store:
        for concept, folder in concepts:
            if not (folder / MANIFEST).exists():
                continue
            candidates = read_manifest(folder)
            askable = list_askable_candidates(params, concept, candidates)
            if offer:
                store.offer(concept, askable, only=True)
            judgements = store.read_judgements(concept, counting=True)
            ids = {candidate.id for candidate in askable}
            feedback.append(assess_sufficiency(params, concept, candidates, judgements, ids))
    return tuple(feedback)


def find_insufficient(feedback: Iterable[FeedbackSufficiency]) -> tuple[FeedbackSufficiency, ...]:
    """Return the concepts whose judgements do not suffice."""
    return tuple(concept for concept in feedback if not concept.is_sufficient)


def describe_missing(insufficient: Iterable[FeedbackSufficiency]) -> Iterator[str]:
    """Yield a line for each concept that people have judged too little."""
    for concept in insufficient:
        yield f"{concept.concept}: needs {', '.join(concept.missing)}"


def suspend_run(feedback: Sequence[FeedbackSufficiency], page: str | None, days: float) -> None:
    """Suspend this run of a deployment: show what is missing, then raise Prefect's signal, which ends the process.

    If there is not enough feedback after `days`, the server ends the run as failed.
    """
    from prefect import get_client, suspend_flow_run
    from prefect.runtime import flow_run

    until = datetime.now().astimezone() + timedelta(days=days)
    show_feedback(feedback, page, until)
    # A used key lets a run pass at once. Used keys are counted, because `run_count` may not change when a run resumes.
    with get_client(sync_client=True) as client:
        used = client.read_flow_run(flow_run.id).empirical_policy.pause_keys or set()
    suspend_flow_run(timeout=round(days * 86_400), key=f"{PAUSE_KEY}-{len(used) + 1}")


def another_run_waits() -> bool:
    """Return whether another run of this run's deployment waits for people."""
    from prefect import get_client
    from prefect.runtime import deployment, flow_run

    from flows.orchestration.runs import waiting_runs

    with get_client(sync_client=True) as client:
        waiting = waiting_runs(client, f"{flow_run.flow_name}/{deployment.name}")
    return any(str(run.id) != str(flow_run.id) for run in waiting)


def show_feedback(
    feedback: Sequence[FeedbackSufficiency], page: str | None = None, until: datetime | None = None
) -> None:
    """Show the state of the feedback as an artifact; with `until`, say that the run waits for people."""
    from prefect.artifacts import create_markdown_artifact

    lines = ["| concept | pictures judged | needed | missing |", "| --- | --- | --- | --- |"]
    for row in feedback:
        lines.append(f"| {row.concept} | {row.labelled} | {row.required} | {', '.join(row.missing) or 'nothing'} |")
    if until:
        link = f"[annotation page]({page})" if page else "annotation page (`hfi annotate` in the project starts it)"
        lines = [
            f"**Waiting for people**: judge pictures on the {link}.", "",
            *lines, "",
            "The run continues by itself when there is enough feedback, or checks again when you press Resume. "
            f"Without enough feedback it fails at {until:%Y-%m-%d %H:%M %Z}.",
        ]  # fmt: skip
    create_markdown_artifact("\n".join(lines), key="feedback", description="Feedback by concept")
