"""`hfi run`: everything that is out of date, in order, through the Prefect flow."""

from typing import Annotated

import typer

from flows.execution.parallelism import MAX_PROCESSES

Until = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage; nothing is registered then.")]
Shards = Annotated[
    int,
    typer.Option(
        "--shards", min=1, max=MAX_PROCESSES, help="Processes that draw and judge pictures; no byte depends on it."
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Let Ray place the shards: HOST:PORT, ray://HOST:PORT, auto or local."),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes", min=1, max=MAX_PROCESSES, help="Processes that learn each removal together, one a GPU."
    ),
]

NEEDS_PEOPLE = 3
"""Exit code of a run that ends before its end, without an error, because people have judged too little."""


def run(until: Until = None, shards: Shards = 1, ray: Ray = None, processes: Processes = 1) -> None:
    """Bring the project up to date: draw, learn, remove, evaluate, package, register.

    DVC says what is out of date; with nothing to do this ends in seconds. Ctrl-C stops it, and the next run goes on
    from the checkpoints to the same result. Where people judge, and have judged too little, it makes what they are to
    judge and ends with exit code 3. With `--shards` and `--processes` it is spread over processes and machines.
    """
    from flows.execution.parallelism import Parallelism, require_ray_address
    from flows.feedback.inbox import fetch_feedback
    from flows.feedback.snapshots import renew_feedback
    from flows.orchestration import feedback_gate
    from flows.orchestration.plan import make_plan
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock

    require_ray_address(ray)
    with project_lock():
        fetch_feedback()
        renew_feedback()
        plan = make_plan(until)
        registration = None
        if plan.affected:
            if not plan.makes_candidates:  # Prefect would be started for nothing
                _stop_for_people(feedback_gate.unmet_needs(feedback_gate.offer_and_measure(plan.params, plan.units)))
            _announce(plan)
            from flows.orchestration import temporary_server
            from flows.safeguard import safeguard_here

            temporary_server.start()
            done = safeguard_here(plan, Parallelism(shards, ray, processes))
            if isinstance(done, feedback_gate.NeedsPeople):
                _stop_for_people(done.needs)
            registration = done
        else:
            info(f"Nothing to do: all {len(plan.units)} units are up to date.")
            if plan.registers:  # `dvc repro` made them
                from flows.releases.register import register

                registration = register(plan.params)
    _close(plan, registration, until)


def _stop_for_people(needs) -> None:
    """End the command where there are any, and say what to do."""
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


def _announce(plan) -> None:
    from flows.runtime.console import info

    info(f"{plan.describe().capitalize()} (of {len(plan.units)}).")
    for unit in plan.affected:
        info(f"  {unit.address}: {plan.stale.get(unit.address, 'if what it reads changes')}")


def _close(plan, registration, until: str | None) -> None:
    from flows.cli.report import print_report
    from flows.runtime.console import info

    if until is not None:
        info(f"Up to date up to {until}. Next: `hfi run`, or `hfi run --until STAGE`.")
        return
    print_report(plan.params)
    if registration is not None:
        print_registration(registration)
    info(f"MLflow:  mlflow ui --backend-store-uri {plan.params.tracking.mlflow}")
    info(f"Next:    hfi sample {plan.params.release.row} 'PROMPT' draws with the safeguarded model;")
    info("         for a model and feedback of your own, edit params.yaml and run `hfi run` again.")


def print_registration(registration) -> None:
    """Say which version a release is, and what each gate says."""
    from flows.releases.champion import ALIAS
    from flows.runtime.console import info

    new = "registered as" if registration.created else "is"
    info(f"Release {new} {registration.model} version {registration.version}, alias {ALIAS}; gates:")
    for verdict in registration.verdicts:
        info(f"  {verdict.metric}: {verdict}")
