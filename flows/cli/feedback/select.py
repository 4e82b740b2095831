"""`hfi feedback select`: select the pictures that people judge next."""

from pathlib import Path
from typing import Annotated

import typer

_MAX_LISTED = 10


def select(
    concept: Annotated[str, typer.Argument(help="The concept's name in params.yaml.")],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Number of pictures.")] = 100,
    random: Annotated[
        float, typer.Option(min=0, max=1, help="Share that is chosen at random and marked, for unbiased estimates.")
    ] = 0.2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the selection and offer nothing.")] = False,
) -> None:
    """Select the next pictures to judge, and offer them in the live store before all others.

    After a first round, it selects diverse pictures about which the reward model is unsure. The random ones stay marked
    in the store.
    """
    from flows.runtime.console import info, show_progress
    from hfi_core.feedback.store import open_store
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS
    from hfi_core.reward.active_learning import select

    params = load_params(PARAMS)
    params.concept(concept)
    with open_store(params.feedback.database_url) as store, show_progress(f"select {concept}") as progress:
        selection = select(
            params, concept, root=Path(), count=count, random_share=random, sampled=store.read_random_sample(concept),
            progress=progress,
        )  # fmt: skip
        if not dry_run:
            chosen = {choice.candidate.id: choice.candidate for choice in selection.choices}
            sample = {candidate.id: candidate for candidate in selection.sample}  # some are already judged
            store.offer(
                concept, list((sample | chosen).values()), priority=selection.priorities, random=frozenset(sample)
            )
    _show(concept, selection)
    random_count = sum(choice.random for choice in selection.choices)
    info(
        f"{len(selection.choices)} pictures {'would be' if dry_run else 'are'} asked about next, {random_count} of "
        f"them at random; the unbiased sample holds {len(selection.sample)} pictures."
    )
    if not dry_run:
        info("Next: `hfi annotate`.")


def _show(concept: str, selection) -> None:
    from rich.table import Table

    from flows.runtime.console import out

    table = Table(
        "first to be asked", "reward", "chosen", title=concept, box=None, pad_edge=False, title_justify="left"
    )
    for choice in selection.choices[:_MAX_LISTED]:
        table.add_row(
            choice.candidate.id, f"{choice.reward:.3f}", "at random" if choice.random else "unsure, unlike the others"
        )
    out.print(table)
