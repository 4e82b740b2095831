"""`hfi gc`: what no release, branch, record or workspace points at goes from DVC's cache."""

from typing import Annotated

import typer


def gc(yes: Annotated[bool, typer.Option("--yes", help="Remove it; without, only say what would go.")] = False) -> None:
    """Free disk space: data in DVC's cache that nothing points at, and checkpoints that no unit goes on from.

    Kept is what these point at: the workspace, every branch and tag, the records on `versioning.branch`, every version
    of `release.model` that is still in MLflow's registry, and every file of judgements that any commit names. The live
    store is never touched, nor is any DVC remote.
    """
    from collections import Counter

    from flows.lineage.gc import find_garbage, remove_garbage
    from flows.lineage.gc_roots import gc_roots
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    with project_lock():
        params = load_params(PARAMS)
        kept = gc_roots(params)
        pointed_at = Counter(one for keeper in kept for one in keeper.data)
        for keeper in kept:
            alone = sum(one.bytes for one in keeper.data if pointed_at[one] == 1)
            info(f"{keeper.name} keeps {_size(keeper.bytes)}{f', {_size(alone)} of it alone' if alone else ''}")
        garbage = find_garbage(params, kept)
        info(f"Nothing points at {len(garbage.objects)} file(s) in DVC's cache, {_size(garbage.object_bytes)}.")
        for folder in garbage.checkpoints:
            info(f"No unit goes on from {folder}.")
        info(f"{len(garbage.checkpoints)} folder(s) of checkpoints, {_size(garbage.checkpoint_bytes)}.")
        if garbage.judgements:
            info(f"Nothing points at {len(garbage.judgements)} file(s) of judgements either, and they stay.")
        if not yes:
            info("Nothing was removed; --yes does.")
            return
        remove_garbage(garbage, kept)
        info("Removed.")


def _size(count: int) -> str:
    """Bytes for people."""
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"
