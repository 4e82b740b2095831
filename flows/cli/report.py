"""`hfi report`: the comparison as a table, and where the pictures are."""


def report() -> None:
    """Print the comparison table and say where the picture report lies."""
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    print_report(load_params(PARAMS))


def print_report(params) -> None:
    """The table of `reports/evaluation.json`, and the place of the page."""
    from flows.runtime.console import info, out
    from hfi_core.pipeline.layout import EVALUATION, REPORT_PAGE

    info(f"\nRows of {EVALUATION}, as value [low, high]:")
    out.print(comparison())
    if params.feedback.simulated:
        info("The feedback behind these figures is simulated.")
    info(f"Report:  {REPORT_PAGE} (one file with its pictures; open it in a browser)")


def comparison():
    """The comparison for a screen: a line a figure, a column a row, so that a figure is compared along its line."""
    from rich.table import Table

    from hfi_core.evaluation.records import read_evaluation
    from hfi_core.pipeline.layout import EVALUATION
    from hfi_core.report.table import build_comparison_table

    header, *figures = zip(*build_comparison_table(read_evaluation(EVALUATION)), strict=True)
    table = Table(*header, box=None, pad_edge=False)
    for figure in figures:
        table.add_row(*figure)
    return table
