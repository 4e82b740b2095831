"""Check the live store's database: connection, tables of this version, durability of what it acknowledges."""

from collections.abc import Iterator

from flows.doctor.check import Finding, with_timeout
from hfi_core.params import Params

_NAME = "feedback database"
_REMEDY = "Correct feedback.database_url in params.yaml, or start the server."
_MAX_SKEW = 10.0
"""Seconds. Leases and the times of judgements come from the clocks of several machines."""


def check(params: Params) -> Iterator[Finding]:
    """Yield findings on connection, tables, rights, durability and clock."""
    from hfi_core.feedback.store import store_exists

    url, used = params.feedback.database_url, params.feedback.store
    if not store_exists(url):
        yield Finding(
            _NAME, True, "does not exist yet; the first judgement creates it" if used else "none, and none is used"
        )
        return
    yield from with_timeout(_NAME, _REMEDY, lambda: _check_server(url, used), needed=used)


def _check_server(url: str, used: bool) -> Iterator[Finding]:
    from hfi_core.feedback.store import inspect_store

    state = inspect_store(url)
    yield Finding(_NAME, True, f"{state.name} answers, {state.server}", needed=used)
    yield Finding(
        "feedback tables", state.is_current or state.revision is None,
        f"revision {state.revision}" if state.revision else "none yet; opening the store creates them",
        "`hfi feedback snapshot` migrates an older store; a newer one needs the version of hfi-pipeline that wrote it.",
        used,
    )  # fmt: skip
    yield Finding(
        "feedback rights", state.writable, "judgements can be written" if state.writable else "read only for this user",
        "GRANT it INSERT, SELECT, UPDATE and DELETE on the tables; a standby takes no judgements.", used,
    )  # fmt: skip
    unsafe = ", ".join(f"{name} is {is_now}, not {wanted}" for name, (is_now, wanted) in state.unsafe_settings.items())
    settings = ", ".join(f"{name} {value}" for name, (value, _) in state.durability_settings.items())
    yield Finding(
        "feedback durability", not unsafe, unsafe or settings,
        "A judgement that was acknowledged could be lost: set it on the server (SQLite: not on a network drive).", used,
    )  # fmt: skip
    if state.clock_skew is not None:
        yield Finding(
            "feedback clock", abs(state.clock_skew) <= _MAX_SKEW, f"{state.clock_skew:+.1f} s against this machine's",
            "Set both clocks by NTP.", used,
        )  # fmt: skip
