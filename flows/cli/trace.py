"""`hfi trace`: trace a registered model back to people's judgements."""

from typing import Annotated

import typer


def trace(
    model: Annotated[
        str, typer.Argument(help="Number, NAME/NUMBER, NAME@ALIAS, an alias, or NAME for its newest version.")
    ],
) -> None:
    """Show what a registered model was made from: release, removal, token, reward, labels, snapshot, judgements."""
    from flows.lineage.trace import trace_version
    from flows.releases.versions import find_release
    from flows.runtime.console import info
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    version = find_release(params, model)
    for link in trace_version(params, version):
        info(f"{link.kind:<12}{link.name}")
        for line in (link.digest, link.description):
            if line:
                info(f"{'':<12}  {line}")
    if version.feedback:
        info(f"Next:    hfi feedback show {version.feedback[:16]} prints the judgements")
