"""`hfi report`: the comparison as a table, and where the pictures are."""

from pathlib import Path

PAGE = Path("reports/report.html")


def report() -> None:
    """Print the comparison table and say where the picture report lies."""
    from flows.plan import PARAMS
    from hfi_core.params import read_params

    print_report(read_params(PARAMS))


def print_report(params) -> None:
    """The table of `reports/evaluation.json`, and the place of the page."""
    from flows.console import say
    from flows.registry import EVALUATION
    from hfi_core.errors import UserError

    if not EVALUATION.exists():
        raise UserError(f"{EVALUATION} is missing: `hfi run` makes it.")
    from hfi_core.report.table import print_table

    print_table(EVALUATION)
    if params.feedback.simulated:
        say("The feedback behind these figures is simulated.")
    say(f"Report:  {PAGE} (one file with its pictures; open it in a browser)")
