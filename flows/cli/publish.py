"""`hfi publish`: copy the release to where others download it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from hfi_core.progress import Progress, no_progress


def publish(
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="VERSION", help="A registered version: its number, or an alias such as champion."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list where it would go and what would be sent.")
    ] = False,
) -> None:
    """Copy `release/` to `publish.to`, under a name that contains its digest.

    Called again, it checks which files are there and sends the missing ones. It never replaces a file.
    With `--version` it takes the release from MLflow: for a published one that was lost, or for a new `publish.to`.
    """
    from flows.releases.publish import publish as put
    from flows.releases.publish import release_name
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS, RELEASE

    params = load_params(PARAMS)
    if version:
        from flows.releases.publish import publish_version

        with _show(f"publish {version}", dry_run) as progress:
            published = publish_version(params, version, dry_run=dry_run, progress=progress)
    else:
        name = release_name(params)
        with project_lock(), _show(f"publish {name}", dry_run) as progress:
            published = put(params, RELEASE, name, dry_run=dry_run, progress=progress)
    if dry_run:
        info(f"{published.address}: {published.sent} of {published.files} files would be sent.")
    elif published.sent:
        info(f"{published.address}: published, {published.sent} of {published.files} files sent.")
    else:
        info(f"{published.address}: published before; all {published.files} files are there.")
    if published.excluded:
        info(f"{published.excluded} file(s) of tokens are not published (publish.tokens in operations.yaml).")


def _show(name: str, dry_run: bool) -> AbstractContextManager[Progress]:
    """Show the progress of a publication; a dry run does nothing that could be done."""
    from flows.runtime.console import show_progress

    return nullcontext(no_progress) if dry_run else show_progress(name)
