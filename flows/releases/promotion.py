"""Promote a version, roll back, and reconcile what people did with the alias `champion` in MLflow."""

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from flows.releases.champion import (
    CHAMPION,
    LAST,
    Promotion,
    RegistryState,
    champion_of,
    damaged_record,
    former,
    line_after,
    read_registry,
)
from flows.releases.download import download_release
from flows.releases.publish import publish as publish_release
from flows.releases.publish import release_name
from flows.releases.versions import find_own_release
from flows.runtime.console import warn
from flows.tracking.client import registry_client, registry_errors_as_user_errors
from hfi_core.errors import UserError, first_line
from hfi_core.evaluation.gates import GateResult, check_gates
from hfi_core.params import Params
from hfi_core.pipeline.layout import STATE

Publish = Callable[[Path, str], str]
"""Put a release under an immutable name, once; returns its address."""
Found = Literal["none", "settled", "promoted", "undone", "moved"]
REFUSED, OVERRIDE, APPROVED = "promotion_refused", "override", "approved_by"
_PASSES = 5
"""How often one call follows an alias that is being moved."""
_UNKNOWN = "not told"
_BUSY = "Another pass of promotions is at work in this project; waiting until it is done."


@dataclass(frozen=True)
class Reconciliation:
    """What one pass found and did."""

    found: Found
    version: str | None
    """The version that the alias was at."""
    champion: str | None
    """The version that the alias is at now."""
    reasons: tuple[str, ...] = ()
    """Why a promotion was undone, or what an override overrode."""
    published: str | None = None

    def told(self, model: str) -> list[str]:
        """For people."""
        if self.found == "none":
            return [f"{model} has no champion. Move the alias {CHAMPION} to a version in MLflow, or `hfi promote`."]
        if self.found == "settled":
            return [f"{model} version {self.version} is champion, as recorded; published at {self.published}."]
        if self.found == "promoted":
            overridden = [f"  overridden: {reason}" for reason in self.reasons]
            return [f"{model} version {self.version} is champion now; published at {self.published}.", *overridden]
        if self.found == "moved":
            return [f"The alias {CHAMPION} of {model} keeps being moved; the next pass will look again."]
        back = f"version {self.champion} is champion as before" if self.champion else "there is no champion"
        return [
            f"The promotion of {model} version {self.version} was undone; {back}.",
            *(f"  {reason}" for reason in self.reasons),
            f"To let it stand nevertheless, set its tag {OVERRIDE} to the reason and promote it again.",
        ]


def reconcile_promotions(
    params: Params, publish: Publish | None = None, client: Any = None, waiting: str = _BUSY
) -> Reconciliation:
    """Bring registry and publication in line with where the alias `champion` is.

    While another pass is at work here it waits, and says `waiting`; Ctrl-C loses nothing.
    Raises UserError if the registry or the place of publication is out of reach; nothing is recorded then, and the
    next pass goes on.
    """
    from mlflow.exceptions import MlflowException

    client = client or registry_client(params)
    publish = publish or _publish_by(params)
    with _one_at_a_time(waiting):
        try:
            for _ in range(_PASSES):
                settled = _pass(params, client, publish)
                if settled.found != "moved":
                    break
        except (MlflowException, OSError) as error:
            raise UserError(
                f"Promotions of {params.release.model} at {params.tracking.mlflow} could not be settled: "
                f"{first_line(error)}\nNothing is lost: `hfi promotions` goes on from here."
            ) from error
    return settled


@contextmanager
def _one_at_a_time(waiting: str) -> Iterator[None]:
    STATE.mkdir(exist_ok=True)
    lock = FileLock((STATE / "promotions.lock").absolute())
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        warn(f"{waiting} Ctrl-C gives up waiting; the next pass of `hfi promotions` goes on.")
        held = lock.acquire()
    with held:
        yield


def _pass(params: Params, client: Any, publish: Publish) -> Reconciliation:
    name = params.release.model
    seen = read_registry(client, name)
    at, champion = seen.at, seen.champion
    if at is None:
        if champion:  # the alias was taken away: what fails after this must not bring that champion back
            client.set_registered_model_tag(name, LAST, str(champion.number + 1))
        return Reconciliation("none", None, None)
    if at not in seen.there:  # deleted since
        return Reconciliation("moved", at, champion_of(client, name))
    if champion and champion.version == at:
        _complete(client, name, seen, champion)
        return Reconciliation("settled", at, at, published=seen.there[at].tags.get("published", champion.published))
    try:
        return _reconcile(params, client, publish, seen, at)
    except Exception:
        if champion_of(client, name) != at:  # moved or deleted while it was being settled: what failed no longer counts
            return Reconciliation("moved", at, champion_of(client, name))
        raise


def _complete(client: Any, name: str, seen: RegistryState, champion: Promotion) -> None:
    """What follows a record: a pass may have died after it, and people may tell who it was a little late."""
    approved = seen.there[champion.version].tags.get(APPROVED)
    if approved and champion.by == _UNKNOWN:
        champion = replace(champion, by=approved.strip() or _UNKNOWN)
        client.set_model_version_tag(name, champion.version, "promoted_by", champion.by)
        client.set_model_version_tag(name, champion.version, *champion.tag)
    if seen.last < champion.number:
        client.set_registered_model_tag(name, LAST, str(champion.number))
    if approved is not None:  # else the next promotion, by somebody else perhaps, would be told as this person's
        client.delete_model_version_tag(name, champion.version, APPROVED)


def _reconcile(params: Params, client: Any, publish: Publish, seen: RegistryState, at: str) -> Reconciliation:
    name, version, champion = params.release.model, seen.there[at], seen.champion
    with tempfile.TemporaryDirectory() as scratch:
        try:
            release, wrong = download_release(params, client, version, Path(scratch)), None
        except UserError as error:
            release, wrong = None, str(error)
        if records := damaged_record(version):
            wrong = f"its tag {records[0]} is no record of a promotion; delete the tag in MLflow"
        failed: list[str] = []
        earlier = next((one for one in seen.recorded if one.version == at), None)
        if wrong is None and earlier is None:
            failed = _failed_gates(params, version, seen.there[champion.version] if champion else None)
        override = version.tags.get(OVERRIDE, "").strip() or None
        if wrong or (failed and not override):
            return _undo(client, name, at, champion, [wrong] if wrong else failed)
        address = publish(release, release_name(params, release))
    if champion_of(client, name) != at:
        return Reconciliation("moved", at, champion_of(client, name))
    before = seen.recorded[0] if seen.recorded else None
    promotion = Promotion(
        version=at,
        number=max(seen.last, before.number if before else 0) + 1,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=version.tags.get(APPROVED, "").strip() or _UNKNOWN,
        published=address,
        override=override if failed else earlier and earlier.override,
        line=line_after(at, before),
    )
    if REFUSED in version.tags:
        client.delete_model_version_tag(name, at, REFUSED)
    # For people's eyes; the record itself comes after them, and only it counts.
    for key, value in (("promoted_at", promotion.at), ("promoted_by", promotion.by), ("published", address)):
        client.set_model_version_tag(name, at, key, value)
    client.set_model_version_tag(name, at, *promotion.tag)
    _complete(client, name, seen, promotion)
    return Reconciliation("promoted", at, at, tuple(failed), address)


def _failed_gates(params: Params, version: Any, champion: Any | None) -> list[str]:
    """Each gate, of the params of now, that the version's own figures fail."""
    from flows.releases.evaluation_record import read_record  # torch
    from hfi_core.evaluation.gates import check_against_champion

    row = version.tags.get("hfi.row")
    if row is None:
        return ["it has no tag hfi.row, so it is not known which of its figures are its own"]
    try:
        mine = read_record(params, version)
        told: list[GateResult] = check_gates(mine.evaluation, row, params.release.gates)
        if champion is not None and any(gate.not_worse_by is not None for gate in params.release.gates.values()):
            told += check_against_champion(params, mine.records, read_record(params, champion).records)
    except UserError as error:
        return [str(error)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # figures of another form than ours
        return [f"its figures cannot be read ({type(error).__name__})"]
    return [f"{verdict.metric}: {verdict}" for verdict in told if not verdict.passed]


def _undo(client: Any, name: str, at: str, champion: Promotion | None, reasons: list[str]) -> Reconciliation:
    """Say why on the version, then put the alias back: a crash between the two leaves it to be undone."""
    client.set_model_version_tag(name, at, REFUSED, "; ".join(reasons)[:4000])
    if champion_of(client, name) != at:
        return Reconciliation("moved", at, champion_of(client, name))
    if champion:
        client.set_registered_model_alias(name, CHAMPION, champion.version)
    else:
        client.delete_registered_model_alias(name, CHAMPION)
    return Reconciliation("undone", at, champion.version if champion else None, tuple(reasons))


def _publish_by(params: Params) -> Publish:
    return lambda release, name: publish_release(params, release, name).address


def promote(
    params: Params, version: str, by: str | None = None, override: str | None = None, publish: Publish | None = None
) -> Reconciliation:
    """Move the alias to a version of `release.model` and settle it.

    Raises UserError if there is no such version, or as `reconcile_promotions` does.
    """
    found = find_own_release(params, version)
    tags = {APPROVED: by or _person()} | ({OVERRIDE: override} if override else {})
    return _move(params, registry_client(params), found.number, tags, publish)


def roll_back(params: Params, by: str | None = None, publish: Publish | None = None) -> Reconciliation:
    """Move the alias to the nearest earlier champion that still exists, then settle it.

    The alias moves first: neither a pass that is publishing nor a place of publication that is down is waited for.
    Raises UserError if there is no earlier champion, or as `reconcile_promotions` does.
    """
    client, model = registry_client(params), params.release.model
    with registry_errors_as_user_errors(params):
        seen = read_registry(client, model)
    back = former(seen.at, next(iter(seen.recorded), None), seen.there)
    if back is None:
        raise UserError(f"{model} has no earlier champion to go back to. `hfi promote VERSION` promotes another one.")
    if seen.champion and seen.champion.version == back:  # from what nobody settled: its own record stands
        return _move(params, client, back, {}, publish)
    return _move(params, client, back, {APPROVED: by or _person()}, publish)


def _move(params: Params, client: Any, version: str, tags: dict[str, str], publish: Publish | None) -> Reconciliation:
    model = params.release.model
    with registry_errors_as_user_errors(params):
        for key, value in tags.items():
            client.set_model_version_tag(model, version, key, value)
        client.set_registered_model_alias(model, CHAMPION, version)
    moved = f"The alias {CHAMPION} of {model} is at version {version} now"
    try:
        return reconcile_promotions(
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
