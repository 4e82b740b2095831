"""`hfi promotions`, `hfi promote` and `hfi rollback`: change the champion, and reconcile with the alias in MLflow."""

from typing import Annotated

import typer


def promotions() -> None:
    """Reconcile with the alias `champion` in MLflow, once: check the gates, publish, and record.

    A promotion that fails its gates is undone, unless the version's tag `override` gives a reason to accept it. Run it
    every minute, by the flow `promotions` or by hand. It ends with exit code 1 if a promotion was undone.
    """
    from flows.releases.promotion import reconcile_promotions
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _print_outcome(params.release.model, reconcile_promotions(params))


def promote(
    version: Annotated[str, typer.Argument(help="Number, NAME/NUMBER, NAME@ALIAS, or an alias.")],
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decides; by default your account.")
    ] = None,
    override: Annotated[
        str | None,
        typer.Option("--override", metavar="REASON", help="Reason to accept a version although a gate fails."),
    ] = None,
) -> None:
    """Move the alias `champion` to a version, then check the gates, publish and record as `hfi promotions` does."""
    from flows.releases.promotion import promote as move
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _print_outcome(params.release.model, move(params, version, by, override))


def rollback(
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decides; by default your account.")
    ] = None,
) -> None:
    """Go back to the previous champion; if there is no champion now, to the last one.

    Its gates are not checked again: it passed them when it was promoted, or somebody gave a reason.
    """
    from flows.releases.promotion import roll_back
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _print_outcome(params.release.model, roll_back(params, by))


def _print_outcome(model: str, result) -> None:
    from flows.runtime.console import info

    for line in result.describe(model):
        info(line)
    if result.outcome in ("undone", "dangling"):
        raise typer.Exit(1)
