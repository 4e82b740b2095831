"""`hfi candidates expire`: judged pictures that nobody needs any more lose their files."""

from typing import Annotated

import typer

_SHOWN = 10
"""Paths printed a concept."""


def expire(
    apply: Annotated[bool, typer.Option("--apply", help="Remove them; without, only say what would go.")] = False,
) -> None:
    """Remove pictures that were judged more than `annotation.retention_days` ago and that no unit will read again.

    Manifest, judgements, labels and what was learnt stay. Copies in DVC's cache go, too; those in a DVC remote and in
    backups are yours to remove.
    """
    from contextlib import nullcontext
    from datetime import UTC, datetime

    from flows.feedback.expiry import expire as remove
    from flows.feedback.expiry import needing, plan_expiry, require_snapshot
    from flows.orchestration.plan import make_plan
    from flows.runtime.console import say
    from flows.runtime.lock import project_lock
    from hfi_core.errors import UserError

    with project_lock() if apply else nullcontext():
        plan = make_plan()
        expiries = plan_expiry(plan.params, datetime.now(UTC))
        require_snapshot(plan.params)
        total = 0
        for expiry in expiries:
            readers = needing(plan, expiry) if expiry.expired else []
            if readers:
                names = ", ".join(unit.address for unit in readers[:3])
                if apply:
                    raise UserError(
                        f"{expiry.folder}: {names} will read these pictures, being out of date.\n"
                        "  To mend it: `hfi run` first, then let pictures expire."
                    )
                say(f"{expiry.concept}: {names} will read these pictures; `hfi run` first.")
            stays = "".join(f", {count} {reason}" for reason, count in sorted(expiry.kept.items()))
            say(f"{expiry.concept}: {len(expiry.expired)} expired{stays}")
            if not apply:
                for path in expiry.files[:_SHOWN]:
                    say(f"  {path}")
                if len(expiry.files) > _SHOWN:
                    say(f"  and {len(expiry.files) - _SHOWN} more")
            elif expiry.expired:
                total += remove(plan, expiry)
        if apply:
            say(f"{total} picture file(s) removed; manifest and judgements are as they were.")
            say("A DVC remote keeps its copies until `dvc gc --workspace --cloud`.")
        else:
            say("Nothing was removed; --apply does.")
