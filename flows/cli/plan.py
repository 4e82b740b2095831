"""`hfi plan`: estimate what a run needs of people and of the machine, before anything runs."""

from typing import Annotated

import typer


def plan(
    measure: Annotated[
        bool, typer.Option("--measure", help="Load the model and time UNet passes on this machine, for some seconds.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Estimate judgements, pictures, hours, memory and disk of the whole graph; each figure has its source.

    Counts come from params.yaml. Hours come from this project's earlier units (reports/cost.json), or with --measure
    from passes that are timed now. Without either they are "not known".
    """
    import dataclasses
    import json

    from rich.table import Table

    from flows.estimation.estimate import estimate_run
    from flows.estimation.throughput import measure_rate, read_rate
    from flows.runtime.console import info, out
    from flows.runtime.device import with_local_device
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = with_local_device(load_params(PARAMS))
    figures = estimate_run(params, measure_rate(params) if measure else read_rate(params))
    if as_json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures], indent=2))
        return
    table = Table("what", "how much", "from", box=None, pad_edge=False)
    for figure in figures:
        table.add_row(figure.name, figure.format_value(), figure.source)
    out.print(table)
    info("This is for the whole graph from the start; `hfi status` lists what is out of date.")
