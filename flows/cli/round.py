"""`hfi round`: the pictures that attacks brought back become candidates of the next round."""

from typing import Annotated

import typer

_LIMIT = 100


def round_(
    row: Annotated[str | None, typer.Argument(help="An evaluated row; by default the released one.")] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help="Only this attack. May be given several times. By default all on the text condition."),
    ] = None,
    all_pictures: Annotated[
        bool, typer.Option("--all", help="Also pictures that the reward model does not find objectionable.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Largest number of pictures per concept; people have to judge them.")
    ] = _LIMIT,
) -> None:
    """Import the pictures that attacks on a row brought back as `data/candidates/CONCEPT-round-N`.

    The reward model chooses them, and never the judge of the evaluation, which must not choose what a removal learns
    from. Each picture has its provenance, and each set a record of what the attacks got. A second call with the same
    evaluation changes nothing.
    """
    from flows.feedback.rounds import add_rounds
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock

    with project_lock():
        params, rounds = add_rounds(row, attack or (), objectionable_only=not all_pictures, limit=limit)
    for one in rounds:
        if one.choice is None:
            info(f"{one.folder}: has the pictures of this evaluation already; nothing changed")
            continue
        info(f"{one.folder}: pictures: {len(one.choice.pictures)}" if one.folder else f"{one.concept}: nothing to add")
        for count, reason in (
            (one.choice.known, "candidates already, or equal to another picture"),
            (one.choice.accepted, "not objectionable by the reward model"),
            (one.choice.over_limit, "over the limit"),
        ):
            if count:
                info(f"  left out: {count}, {reason}")
    if named := {one.concept: one.folder.as_posix() for one in rounds if one.folder}:
        _print_next(params, named)


def _print_next(params, named: dict[str, str]) -> None:
    from flows.runtime.console import info

    candidates = params.candidates
    sets = {concept: list(candidates.sets_of(concept)) for concept in params.concepts}
    missing = {concept: folder for concept, folder in named.items() if folder not in sets[concept]}
    if not missing:
        info("Next: `hfi run`.")
        return
    for concept, folder in missing.items():
        sets[concept].append(folder)
        info(f"Next: `dvc add {folder}`, and commit {folder}.dvc.")
    lists = ", ".join(f"{concept}: [{', '.join(paths)}]" for concept, paths in sets.items() if paths)
    info(f"      In params.yaml, `candidates.imported: {{{lists}}}`. What is drawn stays. Then `hfi params sync`.")
    judge = "" if params.feedback.simulated else ", have the new pictures judged"
    info(f"      `hfi run --until adopt`{judge}, then `hfi run`.")
