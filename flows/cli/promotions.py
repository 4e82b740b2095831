"""`hfi promotions`, `hfi promote` and `hfi rollback`: the alias `champion`, and what follows from it."""

from typing import Annotated

import typer


def promotions() -> None:
    """Settle what people did with the alias `champion` in MLflow: gates, publication, record; once.

    A promotion that fails its gates is undone, unless the version's tag `override` says why it may stand. Run it each
    minute, by the flow `promotions` or by hand. It ends with exit code 1 where a promotion was undone.
    """
    from flows.releases.promotion import reconcile_promotions
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _tell(params.release.model, reconcile_promotions(params))


def promote(
    version: Annotated[str, typer.Argument(help="Number, NAME/NUMBER, NAME@ALIAS, or an alias.")],
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; else your account.")] = None,
    override: Annotated[
        str | None, typer.Option("--override", metavar="REASON", help="Why it may be champion though a gate fails.")
    ] = None,
) -> None:
    """Move the alias `champion` to a version and settle that, as if it had been moved in MLflow."""
    from flows.releases.promotion import promote as move
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _tell(params.release.model, move(params, version, by, override))


def rollback(
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; else your account.")] = None,
) -> None:
    """Go back to the champion before the present one; where there is none now, to the last one.

    Its gates are not asked again: it passed them when it was promoted, or somebody answered for it.
    """
    from flows.releases.promotion import roll_back
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _tell(params.release.model, roll_back(params, by))


def _tell(model: str, settled) -> None:
    from flows.runtime.console import info

    for line in settled.told(model):
        info(line)
    if settled.found == "undone":
        raise typer.Exit(1)
