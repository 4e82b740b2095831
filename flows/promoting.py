"""A person's promotion or roll-back from the command line: the alias and its tags, then the same pass as ever."""

import getpass
import os
from typing import Any

from flows.champions import former, promotions
from flows.promotion import (
    APPROVED,
    OVERRIDE,
    Publish,
    Settled,
    champion_of,
    settle_promotions,
    versions_of,
)
from flows.registered import find_release, registry_client
from flows.registry import CHAMPION
from hfi_core.errors import UserError
from hfi_core.params import Params


def promote(
    params: Params, version: str, by: str | None = None, override: str | None = None, publish: Publish | None = None
) -> Settled:
    """Move the alias to a version of `release.model` and settle it.

    Raises UserError if there is no such version, or as `settle_promotions` does.
    """
    model = params.release.model
    found = find_release(params, version)
    if found.model != model:
        raise UserError(f"{found} is no version of {model}, which release.model in params.yaml names.")
    return _move(params, registry_client(params), found.number, by, override, publish)


def roll_back(params: Params, by: str | None = None, publish: Publish | None = None) -> Settled:
    """Move the alias to the nearest earlier champion that still exists, and settle it.

    Raises UserError if there is none.
    """
    client, model = registry_client(params), params.release.model
    settle_promotions(params, publish, client)  # what is not settled yet is nobody's champion
    at = champion_of(client, model)
    there = versions_of(client, model)
    recorded = promotions(there.values())
    back = former(recorded, there) if at is not None else (recorded[0].version if recorded else None)
    if back is None:
        raise UserError(f"{model} has no earlier champion to go back to. `hfi promote VERSION` promotes another one.")
    return _move(params, client, back, by, None, publish)


def _move(
    params: Params, client: Any, version: str, by: str | None, override: str | None, publish: Publish | None
) -> Settled:
    model = params.release.model
    client.set_model_version_tag(model, version, APPROVED, by or _person())
    if override:
        client.set_model_version_tag(model, version, OVERRIDE, override)
    client.set_registered_model_alias(model, CHAMPION, version)
    return settle_promotions(params, publish, client)


def _person() -> str:
    """Who is at this command: the tracking server's account, else the machine's."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
