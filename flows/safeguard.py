"""The Prefect flow: the stages in order, one task a unit that is out of date, then the registration.

It runs where the project is, one unit after the other in this process: torch's thread count is part of the result.
On request, the parts of a unit run in other processes: see `execution/shards.py` and `execution/data_parallel.py`.
Where judgements come from the live store, it waits for people before anything reads them. A run of a deployment is
recorded at its end, where params ask for it.
"""

import time
from collections.abc import Iterable
from typing import Annotated, Literal

from prefect import flow
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, State
from pydantic import Field

from flows.execution.parallelism import MAX_PROCESSES, ONE_PROCESS, RAY_ADDRESS, Parallelism
from flows.feedback.inbox import fetch_feedback
from flows.feedback.snapshots import renew_feedback
from flows.orchestration import feedback_gate, recovery
from flows.orchestration.artifacts import show_comparison, show_record, show_registration
from flows.orchestration.notifications import FLOW_SETTINGS
from flows.orchestration.plan import Plan, make_plan
from flows.orchestration.runs import require_deployment, start_once
from flows.orchestration.tasks import record_task, register_task, stage_task
from flows.releases.register import Registration
from flows.runtime import logs
from flows.runtime.lock import project_lock
from flows.tracking import runs
from flows.versioning.repo import commit_external_inputs, find_changes
from flows.versioning.results_branch import require_recordable
from hfi_core.feedback.sufficiency import FeedbackNeed
from hfi_core.params import Params
from hfi_core.pipeline import graph as declaration
from hfi_core.pipeline.graph import Unit, downstream

logs.configure_logging()  # in a worker's process nobody else does

StageName = Literal[tuple(stage.name for stage in declaration.STAGES)]  # type: ignore[valid-type]
"""The server and its UI refuse another one before anything runs."""


def _run_name() -> str:
    if deployment.id:
        recovery.hold_run_lock(
            str(flow_run.id)
        )  # the first thing that a run does here: waiting for the project is life, too
    with project_lock():
        renew_feedback()
        return _name_of(make_plan(flow_run.parameters.get("until")))


def _name_of(plan: Plan) -> str:
    return f"safeguard {plan.params.tracking.experiment} ({plan.describe()})"


@flow(name="safeguard", flow_run_name=_run_name, **FLOW_SETTINGS)
def safeguard(
    until: StageName | None = None,
    page: Annotated[str, Field(pattern="^https?://", max_length=500)] | None = None,
    wait_days: Annotated[float, Field(gt=0, le=365)] = 14.0,
    hours: Annotated[float, Field(gt=0, le=1000)] | None = None,
    then: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")] | None = None,
    shards: Annotated[int, Field(ge=1, le=MAX_PROCESSES)] = 1,
    ray: Annotated[str, Field(pattern=RAY_ADDRESS)] | None = None,
    processes: Annotated[int, Field(ge=1, le=MAX_PROCESSES)] = 1,
) -> Registration | feedback_gate.NeedsPeople | None:
    """Bring every unit up to date, up to and with the stage `until`; without it, register the release, too.

    Where people have judged too little, a run of a deployment is suspended, for at most `wait_days`, with a link to
    the annotation `page`; any other ends there, and what is missing is its result. After `hours` the unit that runs
    is stopped, and the run fails. Once all is up to date, a run of the deployment `then` ("safeguard/NAME") is started:
    its work pool may be another, such as one with a GPU. Stages that can be split run in so many `shards`, placed by
    `ray` where an address is given, and each removal is learnt by so many `processes` together.

    Raises UserError as the stages do; whatever was finished before stays, and the next run goes on from it.
    """
    end = time.monotonic() + 3600 * hours if hours else None
    with project_lock():
        fetch_feedback()
        renew_feedback()
        plan = make_plan(until)
        if deployment.id:
            require_recordable(plan.params)
        if then:
            require_deployment(then)
        return _follow(plan, Parallelism(shards, ray, processes), page, wait_days, end, then)


def safeguard_here(plan: Plan, spread: Parallelism = ONE_PROCESS) -> Registration | feedback_gate.NeedsPeople | None:
    """The same flow for a plan that was just made, by who holds the project's lock: `hfi run`."""

    @flow(name="safeguard", flow_run_name=_name_of(plan), **FLOW_SETTINGS)
    def run(until: StageName | None = None) -> Registration | feedback_gate.NeedsPeople | None:
        return _follow(plan, spread)

    return run(plan.until)


def _follow(
    plan: Plan,
    spread: Parallelism,
    page: str | None = None,
    wait_days: float = 0,
    end: float | None = None,
    then: str | None = None,
) -> Registration | feedback_gate.NeedsPeople | State | None:
    """Do what a plan says; see `safeguard`."""
    if not plan.affected and not plan.registers:
        _end(plan.params, then)
        return None
    found = () if plan.makes_candidates else feedback_gate.offer_and_measure(plan.params, plan.units)
    if feedback_gate.unmet_needs(found):
        return _wait(found, page, wait_days)
    name = f"safeguard ({plan.describe()})"
    with runs.pipeline_run(plan.params, name) as parent:
        ran: dict[str, State] = {}
        commit_external_inputs()
        _bring_up_to_date(plan, parent, plan.before_people, ran, end, spread)
        found = feedback_gate.offer_and_measure(plan.params, plan.units)
        if not feedback_gate.unmet_needs(found):
            if found:
                feedback_gate.show_needs(found)
                renew_feedback()  # what people judged while candidates were made
                commit_external_inputs()
            _bring_up_to_date(plan, parent, plan.after_people, ran, end, spread)
            if "compare" in ran or plan.until is None:
                show_comparison(plan.params, parent)
            registration = register_task(plan.params, parent) if plan.registers else None
            if registration:
                show_registration(registration)
            _end(plan.params, then)
            return registration
    return _wait(found, page, wait_days)


def _end(params: Params, then: str | None) -> None:
    """Record what a run of a deployment has left (people record their own runs), and start what follows."""
    if deployment.id and (record := record_task(params, flow_run.name)):
        show_record(record)
    if then:
        start_once(then, str(flow_run.id), "followed")


def _bring_up_to_date(
    plan: Plan,
    parent: str | None,
    units: Iterable[Unit],
    ran: dict[str, State],
    end: float | None,
    spread: Parallelism,
) -> None:
    """Run what is out of date, each unit asked anew when its turn comes; `ran` takes their states by address.

    `end` is when the unit that runs is stopped, on the monotonic clock.
    """
    for unit in units:
        if not find_changes(unit.address):
            continue
        # What ran before it and touches its inputs: Prefect draws the graph from this.
        before = [
            ran[one.address]
            for one in plan.units
            if one.address in ran and unit in downstream([one, unit], [one.address])
        ]
        task = stage_task(unit.stage, end)
        state = task(unit, plan.params, parent, spread, wait_for=before, return_state=True)
        state.result()
        ran[unit.address] = state


def _wait(found: tuple[FeedbackNeed, ...], page: str | None, days: float) -> State:
    """Suspend the run of a deployment; end any other in a state of its own, with what is missing as its result.

    Where a run of the deployment waits already, another one would only wait beside it.
    """
    if deployment.id and not feedback_gate.another_run_waits():
        feedback_gate.suspend_run(found, page, days)
    feedback_gate.show_needs(found)
    needs = feedback_gate.unmet_needs(found)
    return Completed(
        name="NeedsPeople",
        message="; ".join(feedback_gate.describe_missing(needs)),
        data=feedback_gate.NeedsPeople(needs),
    )
