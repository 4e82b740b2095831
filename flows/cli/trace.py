"""`hfi trace`: from a registered model down to the people's judgements."""

from typing import Annotated

import typer


def trace(
    model: Annotated[str, typer.Argument(help="NAME (its newest version), NAME/VERSION, NAME@ALIAS, or an alias.")],
) -> None:
    """Show what a registered model was made of: release, removal, token, reward, labels, snapshot, judgements."""
    from flows.lineage.trace import chain_of
    from flows.releases.versions import find_version
    from flows.runtime.console import say
    from hfi_core.params import read_params
    from hfi_core.pipeline.layout import PARAMS

    params = read_params(PARAMS)
    version = find_version(params, model)
    for link in chain_of(params, version):
        say(f"{link.kind:<12}{link.name}")
        for line in (link.digest, link.told):
            if line:
                say(f"{'':<12}  {line}")
    if version.feedback:
        say(f"Next:    hfi feedback show {version.feedback[:16]} prints the judgements")
