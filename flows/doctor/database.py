"""Does the live store's database answer, has it this version's tables, and does it keep what it acknowledges?"""

from collections.abc import Iterator

from flows.doctor.check import Finding, with_timeout
from hfi_core.params import Params

_NAME = "feedback database"
_MEND = "Mend feedback.database_url in params.yaml, or the server."
_MOST_SKEW = 10.0
"""Seconds; leases and the times of judgements are told by several machines' clocks."""


def check(params: Params) -> Iterator[Finding]:
    """Findings on connection, tables, rights, durability and clock."""
    from hfi_core.feedback.store import is_there

    url, used = params.feedback.database_url, params.feedback.store
    if not is_there(url):
        yield Finding(_NAME, True, "not made yet; the first judgement makes it" if used else "none, and none is used")
        return
    yield from with_timeout(_NAME, _MEND, lambda: _ask(url, used), needed=used)


def _ask(url: str, used: bool) -> Iterator[Finding]:
    from hfi_core.feedback.store import condition_of

    found = condition_of(url)
    yield Finding(_NAME, True, f"{found.name} answers, {found.server}", needed=used)
    yield Finding(
        "feedback tables", found.current or found.revision is None,
        f"revision {found.revision}" if found.revision else "none yet; whoever opens the store first makes them",
        "`hfi feedback snapshot` migrates an older store; a newer one needs the version of hfi-pipeline that made it.",
        used,
    )  # fmt: skip
    yield Finding(
        "feedback rights", found.writable, "judgements can be written" if found.writable else "read only for this user",
        "GRANT it INSERT, SELECT, UPDATE and DELETE on the tables; a standby takes no judgements.", used,
    )  # fmt: skip
    careless = ", ".join(f"{name} is {is_now}, not {wanted}" for name, (is_now, wanted) in found.careless.items())
    yield Finding(
        "feedback durability", not careless, careless or ", ".join(f"{n} {v}" for n, (v, _) in found.durable.items()),
        "A judgement that was acknowledged could be lost: set it on the server (SQLite: not on a network drive).", used,
    )  # fmt: skip
    if found.skew is not None:
        yield Finding(
            "feedback clock", abs(found.skew) <= _MOST_SKEW, f"{found.skew:+.1f} s against this machine's",
            "Set both clocks by NTP.", used,
        )  # fmt: skip
