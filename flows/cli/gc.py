"""`hfi gc`: delete the data in DVC's cache that nothing references."""

from typing import Annotated

import typer


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; without, only list what would be deleted.")] = False,
) -> None:
    """Free disk space: delete data in DVC's cache that nothing references, and checkpoints that no unit needs.

    It keeps the data of the workspace, of every branch and tag, of the records on `versioning.branch`, of every version
    of `release.model` in MLflow's registry, and every file of judgements that any commit names. It never touches the
    live store or a DVC remote.
    """
    from collections import Counter

    from flows.lineage.gc import delete_garbage, find_garbage
    from flows.lineage.gc_roots import find_roots
    from flows.runtime.console import format_bytes, info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    with project_lock():
        params = load_params(PARAMS)
        roots = find_roots(params)
        references = Counter(data for root in roots for data in root.data)
        for root in roots:
            alone = sum(data.bytes for data in root.data if references[data] == 1)
            exclusive = f", {format_bytes(alone)} of it alone" if alone else ""
            info(f"{root.name} keeps {format_bytes(root.bytes)}{exclusive}")
        garbage = find_garbage(params, roots)
        size = format_bytes(garbage.object_bytes)
        info(f"{len(garbage.objects)} file(s) in DVC's cache that nothing references, {size}.")
        for folder in garbage.checkpoints:
            info(f"No unit continues from {folder}.")
        info(f"{len(garbage.checkpoints)} folder(s) of checkpoints, {format_bytes(garbage.checkpoint_bytes)}.")
        if garbage.judgements:
            info(f"{len(garbage.judgements)} file(s) of judgements that nothing references stay.")
        if not yes:
            info("Nothing was removed; --yes removes it.")
            return
        delete_garbage(garbage, roots)
        info("Removed.")
