"""`hfi feedback`: the live store's judgements, as a snapshot, behind a model, and without a person."""

from typing import Annotated

import typer

from flows.cli.feedback import export, fetch, import_, select, stats

app = typer.Typer(no_args_is_help=True, help="Judgements: snapshot, look at, import, export, forget.")
app.command("import")(import_.import_)
app.command()(fetch.fetch)
app.command()(export.export)
app.command()(stats.stats)
app.command()(select.select)


@app.command()
def snapshot() -> None:
    """Write the live store's judgements to `feedback.file`, sorted and canonical, and let DVC keep it.

    `hfi run` and `hfi status` do it by themselves where `feedback.store` is true; `dvc repro` cannot.
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
            "feedback.simulated writes feedback.file, so a snapshot has no place: in params.yaml set `simulated: {}`, "
            "`store: true`, and `file` to a path of its own."
        )
    with project_lock():
        taken = take_snapshot(params)
    if taken is not None:
        done = "written" if taken.written else "already current"
        info(f"{Path(params.feedback.file)}: {done}, {taken.judgements} judgements, sha256 {taken.sha256}")


@app.command()
def show(
    digest: Annotated[str, typer.Argument(help="Of a snapshot, a release or a row's model; 8 hex digits are enough.")],
) -> None:
    """Print the judgements behind a model, one JSON object a line; which snapshot they are goes to standard error."""
    from flows.lineage.feedback_source import find_feedback, resolve_digest
    from flows.runtime.console import warn
    from hfi_core.errors import UserError
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    lead = resolve_digest(params, digest)
    content = find_feedback(params, lead.sha256)
    if content is None:
        raise UserError(
            f"{lead.name} leads to the snapshot {lead.sha256}, which is neither {params.feedback.file}, nor in the "
            "store, nor in DVC's cache: `dvc fetch --all-commits` may bring it."
        )
    warn(f"{lead.name}: snapshot {lead.sha256}, from {content.source}")
    if content.forgotten:
        warn(f"{content.forgotten} judgement(s) that it held have been forgotten since.")
    for line in content.lines:
        print(line)


@app.command()
def forget(
    annotator: Annotated[str, typer.Argument(help="A person's name, or a pseudonym.")],
    judgements: Annotated[bool, typer.Option("--judgements", help="Take out what they said, too.")] = False,
) -> None:
    """Delete the link from a pseudonym to its person; with `--judgements` also all that they judged.

    Says first which registered models rest on their judgements. Snapshots that DVC keeps are not changed.
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
