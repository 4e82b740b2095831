"""Promote a version, roll back, and reconcile what people did with the alias `champion` in MLflow.

A pass reads the registry, decides what follows (see `decision`), and writes that.
"""

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flows.releases.champion import (
    CHAMPION,
    LAST,
    RegistryState,
    find_damaged_records,
    find_previous_champion,
    read_champion,
    read_registry,
)
from flows.releases.decision import APPROVED, OVERRIDE, REFUSED, Decision, Inspection, Outcome, decide
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
"""Put a release under an immutable name, once; return its address."""
_MAX_PASSES = 5
"""How often one call follows an alias that is being moved."""
_MAX_TAG = 4000
"""Characters of a tag's value."""
_BUSY = "Another pass of promotions is at work in this project; waiting until it is done."


@dataclass(frozen=True)
class Reconciliation:
    """What one pass did."""

    outcome: Outcome
    version: str | None
    """The version that the alias was at."""
    champion: str | None
    """The version that the alias is at now."""
    reasons: tuple[str, ...] = ()
    """Why a promotion was undone, or what an override overrode."""
    published: str | None = None
    """Address of the champion's release."""

    def describe(self, model: str) -> list[str]:
        """Return lines for people."""
        if self.outcome == "none":
            return [f"{model} has no champion. Move the alias {CHAMPION} to a version in MLflow, or `hfi promote`."]
        if self.outcome == "unchanged":
            return [f"{model} version {self.version} is champion, as recorded; published at {self.published}."]
        if self.outcome == "promoted":
            overridden = [f"  overridden: {reason}" for reason in self.reasons]
            return [f"{model} version {self.version} is champion now; published at {self.published}.", *overridden]
        if self.outcome == "moved":
            return [f"The alias {CHAMPION} of {model} keeps being moved; the next pass will check it again."]
        if self.outcome == "dangling":
            return [
                f"The alias {CHAMPION} of {model} points at version {self.version}, which does not exist any more.",
                f"To fix this: run `hfi rollback`, or move or delete the alias {CHAMPION} in MLflow.",
            ]
        back = f"version {self.champion} is champion as before" if self.champion else "there is no champion"
        return [
            f"The promotion of {model} version {self.version} was undone; {back}.",
            *(f"  {reason}" for reason in self.reasons),
            f"To let it stand nevertheless, set its tag {OVERRIDE} to the reason and promote it again.",
        ]


def reconcile_promotions(
    params: Params, publish: Publish | None = None, client: Any = None, waiting_message: str = _BUSY
) -> Reconciliation:
    """Make registry and publication agree with the alias `champion`.

    While another pass is at work here, this one waits and prints `waiting_message`; Ctrl-C loses nothing.
    Raises UserError if the registry or the place of publication is out of reach. Nothing is recorded then, and the
    next pass continues.
    """
    from mlflow.exceptions import MlflowException

    client = client or registry_client(params)
    publish = publish or (lambda release, name: publish_release(params, release, name).address)
    with _one_at_a_time(waiting_message):
        try:
            for _ in range(_MAX_PASSES):
                result = _run_pass(params, client, publish)
                if result.outcome != "moved":
                    break
        except (MlflowException, OSError) as error:
            raise UserError(
                f"Promotions of {params.release.model} at {params.tracking.mlflow} could not be reconciled: "
                f"{first_line(error)}\nNothing is lost. To fix this: run `hfi promotions`, which continues from here."
            ) from error
    return result


@contextmanager
def _one_at_a_time(waiting_message: str) -> Iterator[None]:
    STATE.mkdir(exist_ok=True)
    lock = FileLock((STATE / "promotions.lock").absolute())
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        warn(f"{waiting_message} Ctrl-C ends the wait; the next pass of `hfi promotions` continues.")
        held = lock.acquire()
    with held:
        yield


def _run_pass(params: Params, client: Any, publish: Publish) -> Reconciliation:
    """Read the registry, decide, write."""
    model = params.release.model
    state = read_registry(client, model)
    for name in state.misspelt:
        warn(f"The alias {name} of {model} does not count: promotion reads {CHAMPION}, in small letters.")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            inspection = _inspect(params, client, state, Path(scratch)) if state.undecided else None
            decision = decide(state, inspection)
            if decision.outcome == "promoted" and inspection and inspection.release:
                address = publish(inspection.release, release_name(params, inspection.release))
                decision = decision.with_publication(address, datetime.now(UTC).isoformat(timespec="seconds"))
        return apply(client, model, decision)
    except Exception:
        alias = read_champion(client, model)
        if alias != state.alias:  # moved or deleted meanwhile: what failed no longer counts
            return Reconciliation("moved", state.alias, alias)
        raise


def _inspect(params: Params, client: Any, state: RegistryState, scratch: Path) -> Inspection:
    """Check files, records and gates of the version that no decision is recorded on."""
    version = state.undecided
    if damaged := find_damaged_records(version):
        return Inspection(damage=f"its tag {damaged[0]} is not a record of a promotion; delete the tag in MLflow")
    try:
        release = download_release(params, client, version, scratch)
    except UserError as error:
        return Inspection(damage=str(error))
    if any(record.version == state.alias for record in state.records):  # it passed, or somebody answered for it
        return Inspection(release)
    champion = state.versions[state.champion.version] if state.champion else None
    return Inspection(release, failed_gates=tuple(_failed_gates(params, version, champion)))


def _failed_gates(params: Params, version: Any, champion: Any | None) -> list[str]:
    """Return each gate of the present params that the version's own figures fail."""
    from flows.releases.evaluation_record import read_record  # torch
    from hfi_core.evaluation.gates import check_against_champion

    variant = version.tags.get("hfi.row")
    if variant is None:
        return ["it has no tag hfi.row, so it is not known which of its figures are its own"]
    try:
        own = read_record(params, version)
        results: list[GateResult] = check_gates(own.evaluation, variant, params.release.gates)
        if champion is not None and any(gate.not_worse_by is not None for gate in params.release.gates.values()):
            results += check_against_champion(params, own.records, read_record(params, champion).records)
    except UserError as error:
        return [str(error)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # figures of another form than ours
        return [f"its figures cannot be read ({type(error).__name__})"]
    return [f"{result.metric}: {result}" for result in results if not result.passed]


def apply(client: Any, model: str, decision: Decision) -> Reconciliation:
    """Write a decision. A pass that dies between two changes is completed, or repeated, by the next one."""
    version = decision.version
    if decision.outcome == "undone":  # first the reasons: a pass that dies now leaves the promotion to be undone
        client.set_model_version_tag(model, version, REFUSED, "; ".join(decision.reasons)[:_MAX_TAG])
    if decision.outcome in ("promoted", "undone", "moved"):
        alias = read_champion(client, model)
        if alias != version:
            return Reconciliation("moved", version, alias)
        if decision.outcome == "moved":  # nobody moved it: its version was deleted
            return Reconciliation("dangling", version, None)
    if decision.outcome == "undone":
        if decision.champion:
            client.set_registered_model_alias(model, CHAMPION, decision.champion)
        else:
            client.delete_registered_model_alias(model, CHAMPION)
    record = [decision.record.tag] if decision.record else []
    for key, value in (*decision.tags, *record):
        client.set_model_version_tag(model, version, key, value)
    if decision.last_decision is not None:
        client.set_registered_model_tag(model, LAST, str(decision.last_decision))
    for key in decision.used_tags:
        client.delete_model_version_tag(model, version, key)
    return Reconciliation(decision.outcome, version, decision.champion, decision.reasons, decision.published)


def promote(
    params: Params, version: str, by: str | None = None, override: str | None = None, publish: Publish | None = None
) -> Reconciliation:
    """Move the alias to a version of `release.model`, then run a pass.

    Raises UserError if there is no such version, or as `reconcile_promotions` does.
    """
    found = find_own_release(params, version)
    tags = {APPROVED: by or _account_name()} | ({OVERRIDE: override} if override else {})
    return _move_alias(params, registry_client(params), found.number, tags, publish)


def roll_back(params: Params, by: str | None = None, publish: Publish | None = None) -> Reconciliation:
    """Move the alias to the most recent previous champion that still exists, then run a pass.

    The alias moves first: this waits neither for a pass that is publishing, nor for a place of publication that is
    down. Raises UserError if there is no earlier champion, or as `reconcile_promotions` does.
    """
    client, model = registry_client(params), params.release.model
    with registry_errors_as_user_errors(params.tracking):
        state = read_registry(client, model)
    previous = find_previous_champion(state)
    if previous is None:
        raise UserError(f"{model} has no earlier champion to go back to. `hfi promote VERSION` promotes another one.")
    if state.champion and state.champion.version == previous:  # no pass recorded the present one: nothing new to record
        return _move_alias(params, client, previous, {}, publish)
    return _move_alias(params, client, previous, {APPROVED: by or _account_name()}, publish)


def _move_alias(
    params: Params, client: Any, version: str, tags: dict[str, str], publish: Publish | None
) -> Reconciliation:
    model = params.release.model
    with registry_errors_as_user_errors(params.tracking):
        for key, value in tags.items():
            client.set_model_version_tag(model, version, key, value)
        client.set_registered_model_alias(model, CHAMPION, version)
    moved = f"The alias {CHAMPION} of {model} is at version {version} now"
    waiting_message = f"{moved}. Another pass is at work, perhaps publishing; waiting to record it."
    try:
        return reconcile_promotions(params, publish, client, waiting_message)
    except UserError as error:
        raise UserError(f"{moved}, but that is neither published nor recorded yet.\n{error}") from error


def _account_name() -> str:
    """Return who runs this command: the tracking server's account, else the machine's."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
