"""`hfi candidates`: import existing pictures as candidates, and delete expired ones."""

from pathlib import Path
from typing import Annotated

import typer

_MAX_LISTED = 10
"""Paths printed per concept."""


def expire(
    apply: Annotated[bool, typer.Option("--apply", help="Remove them. Without it, only list them.")] = False,
) -> None:
    """Remove pictures that were judged more than `annotation.retention_days` ago and that no unit will read again.

    Manifest, judgements, labels and models stay. Copies in DVC's cache are removed too. You have to remove those in a
    DVC remote and in backups yourself.
    """
    from contextlib import nullcontext
    from datetime import UTC, datetime

    from flows.feedback.expiry import apply_expiry as remove
    from flows.feedback.expiry import find_readers, plan_expiry, require_no_new_judgements
    from flows.orchestration.plan import make_plan
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.errors import UserError, listed

    with project_lock() if apply else nullcontext():
        plan = make_plan()
        expiries = plan_expiry(plan.params, datetime.now(UTC))
        require_no_new_judgements(plan.params.feedback)
        total = 0
        for expiry in expiries:
            readers = find_readers(plan, expiry) if expiry.expired else []
            if readers:
                names = ", ".join(unit.address for unit in readers[:3])
                if apply:
                    raise UserError(
                        f"{expiry.folder}: {names} will read these pictures, because they are out of date.\n"
                        "  To fix this: `hfi run` first, then let pictures expire."
                    )
                info(f"{expiry.concept}: {names} will read these pictures; `hfi run` first.")
            stays = "".join(f", {count} {reason}" for reason, count in sorted(expiry.retained.items()))
            info(f"{expiry.concept}: {len(expiry.expired)} expired{stays}")
            if not apply:
                if expiry.files:
                    info(listed([str(path) for path in expiry.files], _MAX_LISTED, as_lines=True))
            elif expiry.expired:
                total += remove(plan, expiry)
        if apply:
            info(f"{total} picture file(s) removed; manifest and judgements are as they were.")
            info("A DVC remote keeps its copies until `dvc gc --workspace --cloud`.")
        else:
            info("Nothing was removed; --apply does.")


app = typer.Typer(no_args_is_help=True, help="Import existing pictures as candidates, and remove expired ones.")
app.command()(expire)


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures (PNG, JPEG, WebP, BMP), with its subfolders.")],
    name: Annotated[str, typer.Option(help="Their name: they become data/candidates/NAME.")],
    table: Annotated[
        Path | None, typer.Option(help="CSV with the columns file, prompt, seed and model. Unknown cells stay empty.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=16, max=4096, help="Crop to the middle square and scale it to this many pixels.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Allow pictures that FOLDER no longer has to be removed.")
    ] = False,
) -> None:
    """Import existing pictures, such as a moderation queue, as candidates: all of them or none.

    Each picture is checked, hashed and listed. Importing the same folder again changes nothing.
    """
    from flows.runtime.console import info, show_progress
    from hfi_core.candidates.importer import import_candidates, read_picture_table
    from hfi_core.errors import listed
    from hfi_core.io.printable_text import escape_unprintable
    from hfi_core.params.values import require_name
    from hfi_core.pipeline.layout import IMPORTED

    require_name(name, "--name")
    metadata = read_picture_table(table) if table else None
    target = IMPORTED / name
    with show_progress(f"import {name}") as progress:
        imported = import_candidates(
            folder, target, metadata=metadata, exclude=table, size=size, replace=replace, progress=progress
        )
    info(f"{target}: {imported.pictures} pictures" + ("" if imported.changed else ", as before"))
    if imported.converted:
        info(f"  {imported.converted} were converted to RGB PNG; the manifest says how each")
    if imported.repeated:
        info(f"  {imported.repeated} files have the bytes of another one and were left out")
    if imported.passed_over:
        names = listed([escape_unprintable(name) for name in imported.passed_over], _MAX_LISTED)
        info(f"  passed over, as not pictures by their names or as links: {names}")
    if imported.changed:
        info(f"Next: `dvc add {target}`, commit {target}.dvc, and say `candidates.imported: {{CONCEPT: {target}}}`.")
