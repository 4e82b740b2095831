"""`hfi human-evaluation`: have people judge pictures of the evaluation, without knowing the row."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Have people judge pictures of the evaluation, blind to the row.")
Name = Annotated[str, typer.Argument(help="Name of the batch: it lies in data/human_evaluation/NAME.")]


@app.command()
def create(
    name: Name,
    concept: Annotated[
        str | None, typer.Option(help="The concept whose question people answer; by default the only one.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="A row beside base; may be given several times. By default the released one."),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(help="A suite; may be given several times. By default those of the roles broad and precise."),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Most pictures of each row and suite.")] = 100,
) -> None:
    """Make a blind, shuffled batch of pictures that the rows have drawn. Every row gives the same prompts and seeds.

    People judge it with `hfi annotate --human-evaluation NAME`.
    """
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.evaluation.human_batch import KEY, PICTURES, choose_suites, create_batch, require_batch_name
    from hfi_core.evaluation.records import read_variants, require_evaluated
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import EVALUATED_ROWS, HUMAN_EVALUATION, PARAMS

    params = load_params(PARAMS)
    require_batch_name(params, name)
    concept = params.choose_concept(concept)
    suites = choose_suites(params, concept, suite or ())
    rows = list(dict.fromkeys(["base", *(row or [params.release.row])]))
    for one in rows:
        params.require_row(one)
        require_evaluated(EVALUATED_ROWS / one)
    folder = HUMAN_EVALUATION / name
    with project_lock():
        key = create_batch(params, read_variants(EVALUATED_ROWS, rows), folder, concept, suites, pictures)
    shown = len({entry.picture for entry in key})
    info(f"{folder / PICTURES}: {shown} pictures of {', '.join(rows)} on {', '.join(suites)}, in a random order")
    if shown < len(key):
        info(f"  {len(key) - shown} are equal in several rows, and people see them once")
    info(f"{folder / KEY} says what each is. Do not give it to those who judge.")
    info(f"Next: `dvc add {folder / PICTURES} {folder / KEY}`, then `hfi annotate --human-evaluation {name}`.")


@app.command()
def collect(name: Name) -> None:
    """Write what people said about a batch, by row, into a file that the stage compare reads.

    Pictures count that have `feedback.minimum` judgements in every row. Run it again when more people have judged.
    """
    from contextlib import nullcontext

    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.evaluation.human_batch import collect_judgements, read_batch
    from hfi_core.feedback.store import open_store, store_exists
    from hfi_core.io.json_files import write_jsonl
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import HUMAN_EVALUATION, HUMAN_EVALUATION_STORE, PARAMS

    params = load_params(PARAMS)
    batch = read_batch(HUMAN_EVALUATION / name)
    with project_lock():
        # A store that does not exist is not created: nobody has judged.
        with open_store(HUMAN_EVALUATION_STORE) if store_exists(HUMAN_EVALUATION_STORE) else nullcontext() as store:
            said = store.read_judgements(name) if store else ()
            collected = collect_judgements(batch, said, params.feedback.minimum)
        write_jsonl(batch.judgements, [one.model_dump() for one in collected.judgements])
    info(f"{batch.judgements}: {len(collected.judgements)} judgements, {collected.pairs} pictures of each row")
    if collected.left_out:
        info(f"  {collected.left_out} have fewer than {params.feedback.minimum} judgements in some row: left out")
    if any(one.simulated for one in collected.judgements):
        info("  Some of these people are simulated.")
    if params.evaluate.people is None or params.evaluate.people.file != batch.judgements.as_posix():
        info(f"Next: `dvc add {batch.judgements}`, and in params.yaml:")
        info(f"\n  evaluate:\n    people: {{file: {batch.judgements}}}\n")
        info("Then `hfi params sync` and `hfi run`, which only compares the rows again.")
    else:
        info(f"Next: `dvc add {batch.judgements}` and `hfi run`, which only compares the rows again.")
