"""`hfi feedback select`: choose the pictures that people are asked about next."""

from pathlib import Path
from typing import Annotated

import typer

_SHOWN = 10


def select(
    concept: Annotated[str, typer.Argument(help="The concept's name in params.yaml.")],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Pictures to choose.")] = 100,
    random: Annotated[
        float, typer.Option(min=0, max=1, help="Share that is taken at random and marked, for unbiased estimates.")
    ] = 0.2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the choice and offer nothing.")] = False,
) -> None:
    """Choose the next pictures to judge, and offer them to the live store ahead of all others.

    After a first round the reward model says where it is unsure; the choice spreads over such pictures. The random ones
    stay marked in the store.
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
            params, concept, root=Path(), count=count, random_share=random, sampled=store.random_sample(concept),
            progress=progress,
        )  # fmt: skip
        if not dry_run:
            chosen = {one.candidate.id: one.candidate for one in selection.choices}
            sample = {candidate.id: candidate for candidate in selection.sample}  # some of it is judged already
            store.offer(
                concept, list((sample | chosen).values()), priority=selection.priorities, random=frozenset(sample)
            )
    _show(concept, selection)
    taken = sum(one.random for one in selection.choices)
    info(
        f"{len(selection.choices)} pictures {'would be' if dry_run else 'are'} asked about next, {taken} of them at "
        f"random; the unbiased sample holds {len(selection.sample)} pictures."
    )
    if not dry_run:
        info("Next: `hfi annotate`.")


def _show(concept: str, selection) -> None:
    from rich.table import Table

    from flows.runtime.console import out

    table = Table(
        "first to be asked", "reward", "chosen", title=concept, box=None, pad_edge=False, title_justify="left"
    )
    for one in selection.choices[:_SHOWN]:
        table.add_row(one.candidate.id, f"{one.reward:.3f}", "at random" if one.random else "unsure, unlike the others")
    out.print(table)
