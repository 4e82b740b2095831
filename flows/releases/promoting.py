"""A person's promotion or roll-back from the command line: the alias and its tags, then the same pass as ever."""

import getpass
import os
from typing import Any

from flows.releases.champion import former
from flows.releases.promotion import APPROVED, OVERRIDE, Publish, Settled, look, settle_promotions
from flows.releases.register import CHAMPION
from flows.releases.versions import find_own_release, reaching, registry_client
from hfi_core.errors import UserError
from hfi_core.params import Params


def promote(
    params: Params, version: str, by: str | None = None, override: str | None = None, publish: Publish | None = None
) -> Settled:
    """Move the alias to a version of `release.model` and settle it.

    Raises UserError if there is no such version, or as `settle_promotions` does.
    """
    found = find_own_release(params, version)
    tags = {APPROVED: by or _person()} | ({OVERRIDE: override} if override else {})
    return _move(params, registry_client(params), found.number, tags, publish)


def roll_back(params: Params, by: str | None = None, publish: Publish | None = None) -> Settled:
    """Move the alias to the nearest earlier champion that still exists, then settle it.

    The alias moves first: neither a pass that is publishing nor a place of publication that is down is waited for.
    Raises UserError if there is no earlier champion, or as `settle_promotions` does.
    """
    client, model = registry_client(params), params.release.model
    with reaching(params):
        seen = look(client, model)
    back = former(seen.at, next(iter(seen.recorded), None), seen.there)
    if back is None:
        raise UserError(f"{model} has no earlier champion to go back to. `hfi promote VERSION` promotes another one.")
    if seen.champion and seen.champion.version == back:  # from what nobody settled: its own record stands
        return _move(params, client, back, {}, publish)
    return _move(params, client, back, {APPROVED: by or _person()}, publish)


def _move(params: Params, client: Any, version: str, tags: dict[str, str], publish: Publish | None) -> Settled:
    model = params.release.model
    with reaching(params):
        for key, value in tags.items():
            client.set_model_version_tag(model, version, key, value)
        client.set_registered_model_alias(model, CHAMPION, version)
    moved = f"The alias {CHAMPION} of {model} is at version {version} now"
    try:
        return settle_promotions(
            params,
            publish,
            client,
            waiting=f"{moved}. Another pass is at work, publishing perhaps; waiting to record it.",
        )
    except UserError as error:
        raise UserError(f"{moved}, but that is neither published nor recorded yet.\n{error}") from error


def _person() -> str:
    """Who is at this command: the tracking server's account, else the machine's."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
