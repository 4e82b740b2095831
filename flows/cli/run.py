"""`hfi run`: everything that is out of date, in order, through the Prefect flow."""

from typing import Annotated

import typer

from flows.execution.parallelism import MAX_PROCESSES

Until = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage, and register nothing.")]
Shards = Annotated[
    int,
    typer.Option(
        "--shards", min=1, max=MAX_PROCESSES, help="Processes that draw and judge pictures; the number changes no byte."
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Let Ray run the shards: HOST:PORT, ray://HOST:PORT, auto or local."),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes", min=1, max=MAX_PROCESSES, help="Processes that learn each removal together, one for each GPU."
    ),
]

NEEDS_PEOPLE = 3
"""Exit code of a run that stops without an error, because people have judged too few pictures."""


def run(until: Until = None, shards: Shards = 1, ray: Ray = None, processes: Processes = 1) -> None:
    """Bring the project up to date: draw, learn, remove, evaluate, package, register.

    DVC says what is out of date; with nothing to do this ends in seconds. Ctrl-C stops it, and the next run continues
    from the checkpoints to the same result. If people have judged too few pictures, it draws those they should judge
    and ends with exit code 3. `--shards` and `--processes` distribute the work over processes and machines.
    """
    from flows.execution.parallelism import Parallelism, require_ray_address
    from flows.execution.unit import remove_committed_checkpoints
    from flows.feedback.inbox import fetch_feedback
    from flows.feedback.snapshots import renew_snapshot
    from flows.orchestration import feedback_gate
    from flows.orchestration.plan import make_plan
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from flows.versioning.repo import when_dvc_is_free

    require_ray_address(ray)
    with project_lock():
        fetch_feedback()
        renew_snapshot()
        plan = when_dvc_is_free(lambda: make_plan(until))
        remove_committed_checkpoints(unit.address for unit in plan.units if unit.address not in plan.stale)
        registration = None
        if plan.affected:
            if not plan.makes_candidates:  # check before Prefect starts, because the run may stop at once
                _stop_for_people(
                    feedback_gate.find_insufficient(feedback_gate.offer_and_measure(plan.params, plan.units))
                )
            _print_plan(plan)
            from flows.orchestration import temporary_server
            from flows.safeguard import run_plan

            temporary_server.start()
            outcome = run_plan(plan, Parallelism(shards, ray, processes))
            if isinstance(outcome, feedback_gate.NeedsPeople):
                _stop_for_people(outcome.insufficient)
            registration = outcome
        else:
            info(f"Nothing to do: all {len(plan.units)} units are up to date.")
            if plan.registers:  # `dvc repro` computed the units, but registers nothing
                from flows.releases.register import register

                registration = register(plan.params)
    _print_result(plan, registration, until)


def _stop_for_people(needs) -> None:
    """If feedback is missing, print what to do and end the command."""
    from flows.orchestration.feedback_gate import describe_missing
    from flows.runtime.console import info

    if not needs:
        return
    info("People are needed: too few pictures have been judged to go on.")
    for line in describe_missing(needs):
        info(f"  {line}")
    info("Judge:   hfi annotate")
    info("Then:    hfi run")
    raise typer.Exit(NEEDS_PEOPLE)


def _print_plan(plan) -> None:
    from flows.runtime.console import info

    info(f"{plan.describe().capitalize()} (of {len(plan.units)}).")
    for unit in plan.affected:
        info(f"  {unit.address}: {plan.stale.get(unit.address, 'if what it reads changes')}")


def _print_result(plan, registration, until: str | None) -> None:
    from flows.cli.report import print_report
    from flows.runtime.console import info

    if until is not None:
        info(f"All is up to date up to {until}. Next: `hfi run`, or `hfi run --until STAGE`.")
        return
    print_report(plan.params)
    if registration is not None:
        print_registration(registration)
    info(f"MLflow:  mlflow ui --backend-store-uri {plan.params.tracking.mlflow}")
    info(f"Next:    hfi sample {plan.params.release.row} 'PROMPT' draws with the safeguarded model;")
    info("         for a model and feedback of your own, edit params.yaml and run `hfi run` again.")


def print_registration(registration) -> None:
    """Print the version of a release and the verdict of each gate."""
    from flows.releases.champion import CANDIDATE
    from flows.runtime.console import info

    new = "registered as" if registration.created else "is"
    info(f"Release {new} {registration.model} version {registration.version}, alias {CANDIDATE}; gates:")
    for verdict in registration.verdicts:
        info(f"  {verdict.metric}: {verdict}")
