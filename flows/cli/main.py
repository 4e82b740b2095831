"""The command line `hfi`: collects the commands and turns errors into exit codes."""

import logging
import sys
from enum import StrEnum
from typing import Annotated

import typer

from flows.cli import (
    annotate,
    candidates,
    compare,
    deploy,
    doctor,
    export,
    feedback,
    gc,
    human_evaluation,
    init,
    judge,
    params,
    plan,
    promotions,
    publish,
    reevaluate,
    register,
    report,
    round,
    run,
    sample,
    stage,
    status,
    trace,
)
from flows.runtime import logs

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong input (the message says how to fix it), 3 people must judge first, "
    "130 stopped by Ctrl-C."
)

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EPILOG,
)
app.command()(init.init)
app.command()(plan.plan)
app.command()(run.run)
app.command()(stage.stage)
app.command()(status.status)
app.command()(sample.sample)
app.command()(report.report)
app.command()(export.export)
app.command("round")(round.round_)
app.command()(reevaluate.reevaluate)
app.command()(register.register)
app.command()(promotions.promotions)
app.command()(promotions.promote)
app.command()(promotions.rollback)
app.command()(compare.compare)
app.command()(publish.publish)
app.command()(deploy.deploy)
app.add_typer(annotate.app, name="annotate")
app.add_typer(candidates.app, name="candidates")
app.add_typer(feedback.app, name="feedback")
app.add_typer(human_evaluation.app, name="human-evaluation")
app.add_typer(judge.app, name="judge")
app.command()(trace.trace)
app.add_typer(params.app, name="params")
app.command()(gc.gc)
app.command()(doctor.doctor)

_debug = False


class LogFormat(StrEnum):
    """How lines are written; the formats of `flows.runtime.logs`."""

    text = "text"
    json = "json"


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    log: Annotated[
        LogFormat,
        typer.Option(
            "--log", envvar=logs.VARIABLE, help="`json`: one object per line on standard error, for programs."
        ),
    ] = LogFormat.text,
) -> None:
    """Make a text-to-image model safer with human feedback on its own pictures.

    All settings are in `params.yaml` and `operations.yaml`. `hfi run` brings the project up to date, and `hfi status`
    lists what is out of date.
    """
    global _debug
    _debug = debug
    logs.configure_logging(log.value)


def main() -> None:
    """Run `hfi` and exit with its exit code."""
    try:
        app()
    except SystemExit as system_exit:
        if system_exit.code == INTERRUPTED:
            _print_error("\nStopped. What was finished is kept; the same command continues from there.")
        raise
    except Exception as error:
        sys.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    from hfi_core.errors import UserError, first_line, remove_pydantic_terms
    from hfi_core.io.atomic import is_disk_full

    if isinstance(error, UserError):
        _print_error(f"Error: {error}")
        return 2
    if is_disk_full(error):  # where a library writes
        _print_error(
            f"Error: The disk is full: {first_line(error)}\n"
            "  To fix this: free some space, then run the same command again."
        )
        return 2
    if _debug and not logs.is_structured():
        raise error
    text = remove_pydantic_terms(str(error))
    _print_error(f"Failed: {type(error).__name__}: {text}\n`hfi --debug ...` shows where.", error)
    return 1


def _print_error(text: str, error: Exception | None = None) -> None:
    """Print the last line of a command that did not succeed."""
    if logs.is_structured():
        logs.log(logging.ERROR, text.strip(), error if _debug else None)
        return
    from hfi_core.secrets import hide_secrets

    print(hide_secrets(text), file=sys.stderr)
