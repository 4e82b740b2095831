"""Hold a run until people have judged enough: what feedback is missing, where to give it, and how the run is suspended.

Only where `feedback.store` says that judgements come from the live store. DVC is the only cache: a resumed run starts
from the top, finds what was made before the wait, and goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.orchestration.runs import PAUSE_KEY
from hfi_core.candidates.manifest import MANIFEST, read_manifest
from hfi_core.feedback.sufficiency import FeedbackNeed, feedback_need
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit, judgement_readers


@dataclass(frozen=True)
class NeedsPeople:
    """What a run comes to that cannot be suspended: these needs are not met."""

    needs: tuple[FeedbackNeed, ...]


def offer_and_measure(params: Params, units: Iterable[Unit]) -> tuple[FeedbackNeed, ...]:
    """Offer the candidates to the store, so that people are asked about them, and look how far judgements reach.

    Raises UserError if the candidates are too few for any judgements to be enough.
    """
    return _measure(params, units, offer=True)


def measure_needs(params: Params, units: Iterable[Unit]) -> tuple[FeedbackNeed, ...]:
    """How far the store's judgements reach, by concept that has candidates; changes nothing."""
    return _measure(params, units, offer=False)


def _measure(params: Params, units: Iterable[Unit], offer: bool) -> tuple[FeedbackNeed, ...]:
    asked = [(unit.unit, unit.inputs["candidates"]) for unit in judgement_readers(params, units)]
    if not asked:
        return ()
    from hfi_core.feedback.gold import askable_candidates
    from hfi_core.feedback.store import is_there, open_store

    if not is_there(params.feedback.database_url):
        return ()  # a clone, which learns from the snapshot that came with it
    found = []
    with open_store(params.feedback.database_url) as store:
        for concept, folder in asked:
            if not (folder / MANIFEST).exists():
                continue
            candidates = read_manifest(folder)
            asking = askable_candidates(params, concept, candidates)
            if offer:
                store.offer(concept, asking, only=True)
            names = {candidate.id for candidate in asking}
            found.append(feedback_need(params, concept, candidates, store.judgements(concept, counting=True), names))
    return tuple(found)


def unmet_needs(found: Iterable[FeedbackNeed]) -> tuple[FeedbackNeed, ...]:
    """Those of the needs that are not met."""
    return tuple(need for need in found if not need.enough)


def describe_missing(missing: Iterable[FeedbackNeed]) -> Iterator[str]:
    """A line for each concept that people are needed for."""
    for need in missing:
        yield f"{need.concept}: needs {', '.join(need.missing)}"


def suspend_run(found: Sequence[FeedbackNeed], page: str | None, days: float) -> None:
    """Suspend this run of a deployed flow: shows what is missing and raises Prefect's signal, so the process ends.

    Without more feedback the server ends the run as failed after `days`.
    """
    from prefect import get_client, suspend_flow_run
    from prefect.runtime import flow_run

    until = datetime.now().astimezone() + timedelta(days=days)
    show_needs(found, page, until)
    # A key that was used lets a run pass. They are counted here, since `run_count` may stand still when a run resumes.
    with get_client(sync_client=True) as client:
        used = client.read_flow_run(flow_run.id).empirical_policy.pause_keys or set()
    suspend_flow_run(timeout=round(days * 86_400), key=f"{PAUSE_KEY}-{len(used) + 1}")


def another_run_waits() -> bool:
    """Whether another run of this run's deployment waits for people."""
    from prefect import get_client
    from prefect.runtime import deployment, flow_run

    from flows.orchestration.runs import waiting_runs

    with get_client(sync_client=True) as client:
        found = waiting_runs(client, f"{flow_run.flow_name}/{deployment.name}")
    return any(str(run.id) != str(flow_run.id) for run in found)


def show_needs(found: Sequence[FeedbackNeed], page: str | None = None, until: datetime | None = None) -> None:
    """The state of the feedback as an artifact; with `until`, that the run waits for it."""
    from prefect.artifacts import create_markdown_artifact

    lines = ["| concept | pictures judged | needed | missing |", "| --- | --- | --- | --- |"]
    lines += [f"| {n.concept} | {n.labelled} | {n.wanted} | {', '.join(n.missing) or 'nothing'} |" for n in found]
    if until:
        where = f"[annotation page]({page})" if page else "annotation page (`hfi annotate` in the project starts it)"
        lines = [
            f"**Waiting for people**: judge pictures on the {where}.", "",
            *lines, "",
            "The run goes on by itself when there is enough, or looks again when you press Resume. "
            f"Without it the run fails at {until:%Y-%m-%d %H:%M %Z}.",
        ]  # fmt: skip
    create_markdown_artifact("\n".join(lines), key="feedback", description="Feedback by concept")
