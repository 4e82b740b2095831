"""`hfi publish`: the release to where others take it from."""

from typing import Annotated

import typer


def publish(
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="VERSION", help="A registered one: its number, or an alias such as champion."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say where it would go and what would be sent.")] = False,
) -> None:
    """Put `release/` under `publish.to`, by a name that says its content and never changes it.

    Again, it looks whether everything is there, and sends what is missing. Nothing that is there is ever replaced.
    With `--version` it takes the release from MLflow: where a published one was lost, or `publish.to` is another now.
    """
    from flows.releases.publish import publish as put
    from flows.releases.publish import release_name
    from flows.runtime.console import info, show_progress
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS, RELEASE

    params = load_params(PARAMS)
    if version:
        from flows.releases.publish import publish_version

        with show_progress(f"publish {version}") as progress:
            done = publish_version(params, version, dry_run=dry_run, progress=progress)
    else:
        name = release_name(params)
        with project_lock(), show_progress(f"publish {name}") as progress:
            done = put(params, RELEASE, name, dry_run=dry_run, progress=progress)
    if dry_run:
        info(f"{done.address}: {done.sent} of {done.files} files would be sent.")
    elif done.sent:
        info(f"{done.address}: published, {done.sent} of {done.files} files sent.")
    else:
        info(f"{done.address}: published before; all {done.files} files are there.")
    if done.kept_back:
        info(f"{done.kept_back} file(s) of tokens are kept back (publish.tokens in params.yaml).")
