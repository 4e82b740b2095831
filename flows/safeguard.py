"""The Prefect flow of the pipeline: one task for each unit that is out of date, then the registration.

It runs in the project's folder, one unit after the other in this process: torch's thread count is part of the result.
On request, the parts of a unit run in other processes: see `execution/shards.py` and `execution/data_parallel.py`.
If judgements come from the live store, it waits for people before a unit reads them. At its end a run of a deployment
is recorded, if params say so.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

from prefect import flow
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, State
from pydantic import Field

from flows.execution.parallelism import MAX_PROCESSES, ONE_PROCESS, RAY_ADDRESS, Parallelism
from flows.feedback.inbox import fetch_feedback
from flows.feedback.snapshots import renew_snapshot
from flows.orchestration import feedback_gate, recovery, run_log
from flows.orchestration.artifacts import show_comparison, show_record, show_registration
from flows.orchestration.current_run import project_lock_of_run, rename_run
from flows.orchestration.notifications import FLOW_SETTINGS
from flows.orchestration.plan import Plan, make_plan
from flows.orchestration.runs import require_deployment, start_once
from flows.orchestration.tasks import record_task, register_task, stage_task
from flows.releases.register import Registration
from flows.runtime import logs
from flows.tracking import runs
from flows.versioning.pointer_recovery import read_entries
from flows.versioning.repo import commit_external_inputs, find_changes, when_dvc_is_free
from flows.versioning.results_branch import require_recordable
from hfi_core.feedback.sufficiency import FeedbackSufficiency
from hfi_core.params import Params
from hfi_core.pipeline import graph as declaration
from hfi_core.pipeline.graph import Unit, downstream

logs.configure_logging()  # in a worker's process nobody else does
run_log.connect()

if TYPE_CHECKING:
    StageName = str
else:  # The server and its UI refuse another name before anything runs.
    StageName = Literal[tuple(stage.name for stage in declaration.STAGES)]


def _name_of(plan: Plan) -> str:
    return f"safeguard {plan.params.tracking.experiment} ({plan.describe()})"


@flow(name="safeguard", **FLOW_SETTINGS)
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
    """Bring every unit up to date, up to and including the stage `until`. Without `until`, register the release, too.

    If people have judged too little, a run of a deployment is suspended for at most `wait_days`, with a link to the
    annotation `page`. Any other run ends there, and what is missing is its result. After `hours` the unit that is
    running is stopped, and the run fails. When all is up to date, a run of the deployment `then` ("safeguard/NAME")
    starts; its work pool may be another, such as one with a GPU. Stages that can be split run in `shards` processes,
    which `ray` places if an address is given. `processes` learn each removal together.

    Raises UserError as the stages do. What was finished before stays, and the next run continues from it.
    """
    if deployment.id:  # first: a run is alive while it waits for the project's lock, too
        recovery.hold_run_lock(str(flow_run.id))
    deadline = time.monotonic() + 3600 * hours if hours else None
    with project_lock_of_run():
        fetch_feedback()
        renew_snapshot()
        plan = when_dvc_is_free(lambda: make_plan(until))
        rename_run(_name_of(plan))  # not by `flow_run_name`: Prefect tells nobody why that fails
        if deployment.id:
            require_recordable(plan.params.versioning)
        if then:
            require_deployment(then)
        return _execute(Run(plan, Parallelism(shards, ray, processes), deadline), page, wait_days, then)


def run_plan(plan: Plan, parallelism: Parallelism = ONE_PROCESS) -> Registration | feedback_gate.NeedsPeople | None:
    """Run the same flow for a plan that was just made. The caller, `hfi run`, holds the project's lock."""

    @flow(name="safeguard", flow_run_name=_name_of(plan), **FLOW_SETTINGS)
    def run(until: StageName | None = None) -> Registration | feedback_gate.NeedsPeople | None:
        return _execute(Run(plan, parallelism))

    return run(plan.until)


@dataclass
class Run:
    """One run of a plan."""

    plan: Plan
    parallelism: Parallelism
    deadline: float | None = None
    """When the unit that is running is stopped, on the monotonic clock."""
    parent: str | None = None
    """The MLflow run of the pipeline."""
    states: dict[str, State] = field(default_factory=dict)
    """Prefect's states of the units that ran, by address."""

    def bring_up_to_date(self, units: Iterable[Unit]) -> None:
        """Run the units that are out of date.

        DVC is asked once about all units of a stage, because each time it reads the whole of `dvc.lock`. They do not
        depend on each other. It is asked again about one that somebody else has committed since.
        """
        for _, group in groupby(units, key=lambda unit: unit.stage.name):
            asked = {unit.address: unit for unit in group}
            stale, entries = _find_stale(*asked), read_entries()
            for address, unit in asked.items():
                if address in stale and (
                    read_entries().get(address) == entries.get(address) or address in _find_stale(address)
                ):
                    self._run_unit(unit)

    def _run_unit(self, unit: Unit) -> None:
        task = stage_task(unit.stage, self.deadline)
        options = {"wait_for": self._states_before(unit), "return_state": True}
        state = task(unit, self.plan.params, self.parent, self.parallelism, **options)
        state.result()
        self.states[unit.address] = state

    def _states_before(self, unit: Unit) -> list[State]:
        """Return the states of what ran before a unit and makes its inputs: Prefect draws the graph from this."""
        ran = [other for other in self.plan.units if other.address in self.states]
        return [self.states[other.address] for other in ran if unit in downstream([other, unit], [other.address])]


def _find_stale(*addresses: str) -> Mapping[str, str]:
    return when_dvc_is_free(partial(find_changes, *addresses))


def _execute(
    run: Run, page: str | None = None, wait_days: float = 0, then: str | None = None
) -> Registration | State | None:
    """Make the candidates, wait for people if their judgements do not suffice, and do the rest; see `safeguard`."""
    plan = run.plan
    if not plan.affected and not plan.registers:
        _finish(plan.params, then)
        return None
    feedback = () if plan.makes_candidates else feedback_gate.offer_and_measure(plan.params, plan.units)
    if feedback_gate.find_insufficient(feedback):
        return _wait_for_people(feedback, page, wait_days)
    with runs.pipeline_run(plan.params, f"safeguard ({plan.describe()})") as run.parent:
        commit_external_inputs()
        run.bring_up_to_date(plan.before_people)
        feedback = feedback_gate.offer_and_measure(plan.params, plan.units)
        if not feedback_gate.find_insufficient(feedback):
            if feedback:
                feedback_gate.show_feedback(feedback)
                renew_snapshot()  # with what people judged while candidates were made
                commit_external_inputs()
            run.bring_up_to_date(plan.after_people)
            registration = _show_and_register(run)
            _finish(plan.params, then)
            return registration
    return _wait_for_people(feedback, page, wait_days)  # outside: waiting is not a failure of the MLflow run


def _show_and_register(run: Run) -> Registration | None:
    plan = run.plan
    if "compare" in run.states or plan.until is None:
        show_comparison(plan.params, run.parent)
    registration = register_task(plan.params, run.parent) if plan.registers else None
    if registration:
        show_registration(registration)
    return registration


def _finish(params: Params, then: str | None) -> None:
    """Record the results of a run of a deployment (people record their own runs), and start what follows."""
    if deployment.id and (record := record_task(params, flow_run.name)):
        show_record(record)
    if then:
        start_once(then, str(flow_run.id), "followed")


def _wait_for_people(feedback: tuple[FeedbackSufficiency, ...], page: str | None, days: float) -> State:
    """Suspend the run of a deployment; end any other run in a state of its own, with what is missing as its result.

    If a run of the deployment is waiting already, this one ends, too: it could only wait beside it.
    """
    if deployment.id and not feedback_gate.another_run_waits():
        feedback_gate.suspend_run(feedback, page, days)
    feedback_gate.show_feedback(feedback)
    insufficient = feedback_gate.find_insufficient(feedback)
    return Completed(
        name="NeedsPeople",
        message="; ".join(feedback_gate.describe_missing(insufficient)),
        data=feedback_gate.NeedsPeople(insufficient),
    )
