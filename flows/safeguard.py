"""The Prefect flow: the stages in order, one task a unit that is out of date, then the registration.

It runs where the project is, one unit after the other in this process: torch's thread count is part of the result.
"""

from flows.environment import settle

settle()

from prefect import flow  # noqa: E402 - settings first
from prefect.runtime import flow_run  # noqa: E402

from flows import tracking  # noqa: E402
from flows.artifacts import show_comparison, show_registration  # noqa: E402
from flows.lock import project_lock  # noqa: E402
from flows.plan import Plan, make_plan  # noqa: E402
from flows.registry import Registration  # noqa: E402
from flows.stages import register_task, stage_task  # noqa: E402
from flows.versioning import changes, downstream, keep_sources  # noqa: E402


def _run_name() -> str:
    plan = make_plan(flow_run.parameters.get("until"))
    return f"safeguard {plan.params.tracking.experiment} ({plan.describe()})"


@flow(name="safeguard", flow_run_name=_run_name, persist_result=False, retries=0)
def safeguard(until: str | None = None) -> Registration | None:
    """Bring every unit up to date, up to and with the stage `until`; without it, register the release, too.

    Raises UserError as the stages do; whatever was finished before stays, and the next run goes on from it.
    """
    with project_lock():
        plan = make_plan(until)
        if not plan.affected and not plan.registers:
            return None
        name = f"safeguard ({plan.describe()})"
        with tracking.pipeline_run(plan.params, name) as parent:
            ran = _bring_up_to_date(plan, parent)
            if "compare" in ran or until is None:
                show_comparison(plan.params, parent)
            if not plan.registers:
                return None
            registration = register_task(plan.params, parent)
            show_registration(registration)
            return registration


def _bring_up_to_date(plan: Plan, parent: str | None) -> set[str]:
    """Run what is out of date, each unit asked anew when its turn comes; the addresses that ran."""
    states = {}
    keep_sources()
    for unit in plan.units:
        if not changes(unit.address):
            continue
        # What ran before it and touches its inputs: Prefect draws the graph from this.
        before = [
            states[one.address]
            for one in plan.units
            if one.address in states and unit in downstream([one, unit], [one.address])
        ]
        state = stage_task(unit.stage)(unit, plan.params, parent, wait_for=before, return_state=True)
        state.result()
        states[unit.address] = state
    return set(states)
