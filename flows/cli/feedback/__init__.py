"""`hfi feedback`: import, export and select judgements, take snapshots, show those behind a model, forget a person."""

from typing import Annotated

import typer

from flows.cli.feedback import export, fetch, import_, select, stats

app = typer.Typer(no_args_is_help=True, help="Judgements: import, export, select, take snapshots, show, forget.")
app.command("import")(import_.import_)
app.command()(fetch.fetch)
app.command()(export.export)
app.command()(stats.stats)
app.command()(select.select)


@app.command()
def snapshot() -> None:
    """Write the live store's judgements to `feedback.file`, sorted and canonical, and let DVC version it.

    `hfi run` and `hfi status` do this themselves if `feedback.store` is true; `dvc repro` cannot.
    """
    from pathlib import Path

    from flows.feedback.snapshots import take_snapshot
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.errors import UserError
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    if params.feedback.simulated:
        raise UserError(
            "feedback.simulated writes feedback.file, so a snapshot cannot.\n"
            "  To fix this: in params.yaml set `simulated: {}`, `store: true`, and `file` to another path."
        )
    with project_lock():
        taken = take_snapshot(params.feedback)
    if taken is not None:
        done = "written" if taken.written else "already current"
        info(f"{Path(params.feedback.file)}: {done}, {taken.judgements} judgements, sha256 {taken.sha256}")


@app.command()
def show(
    digest: Annotated[
        str, typer.Argument(help="Digest of a snapshot, a release or a variant's model; 8 hex digits are enough.")
    ],
) -> None:
    """Print the judgements behind a model, one JSON object per line. The snapshot's name goes to standard error."""
    from flows.lineage.feedback_source import find_feedback, resolve_digest
    from flows.runtime.console import warn
    from hfi_core.errors import UserError
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    reference = resolve_digest(params, digest)
    content = find_feedback(params, reference.sha256)
    if content is None:
        raise UserError(
            f"{reference.name} leads to the snapshot {reference.sha256}, which is neither {params.feedback.file}, nor "
            "in the store, nor in DVC's cache.\n  To fix this: `dvc fetch --all-commits` may bring it."
        )
    warn(f"{reference.name}: snapshot {reference.sha256}, from {content.source}")
    if content.forgotten:
        warn(f"{content.forgotten} judgement(s) that it held have been forgotten since.")
    for line in content.lines:
        print(line)


@app.command()
def forget(
    annotator: Annotated[str, typer.Argument(help="A person's name, or a pseudonym.")],
    judgements: Annotated[bool, typer.Option("--judgements", help="Delete their judgements too.")] = False,
) -> None:
    """Delete the link from a pseudonym to its person, and with `--judgements` all judgements by this person.

    First lists the registered models that depend on the judgements. Snapshots in DVC are not changed.
    """
    from flows.feedback.forget import forget_annotator
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    with project_lock():
        for line in forget_annotator(params, annotator, judgements):
            info(line)
