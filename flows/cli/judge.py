"""`hfi judge`: make a judge of the evaluation from people's answers."""

from typing import Annotated

import typer

SURE = 0.9
"""Lower end of the interval of its AUC below which a probe gets a warning."""

app = typer.Typer(no_args_is_help=True, help="Make a judge of the evaluation from people's answers.")


@app.callback()
def _group() -> None:
    """Keep `fit` a command of its own, though it is the only one."""


@app.command()
def fit(
    name: Annotated[str, typer.Argument(help="Name of the judge: it is written to data/judges/NAME.")],
    clip: Annotated[str, typer.Option(help="Another CLIP than the reward model's: a folder, or a hub id.")],
    revision: Annotated[str | None, typer.Option(help="Commit of the hub id.")] = None,
    concept: Annotated[str | None, typer.Option(help="The concept; by default the only one.")] = None,
) -> None:
    """Fit a probe, a small classifier on CLIP embeddings, to answers that nothing else learns from.

    `feedback.held_out_for_judge` says how many pictures are kept for it. The judge does not change afterwards, so that
    figures of later runs can be compared. To fit another one, choose another name.
    """
    import json

    from flows.runtime.console import info, show_progress, warn
    from flows.runtime.device import with_local_device
    from flows.runtime.lock import project_lock
    from hfi_core.errors import UserError
    from hfi_core.params import load_params
    from hfi_core.params.values import require_name
    from hfi_core.pipeline.layout import CANDIDATES, JUDGES, LABELS, PARAMS

    params = with_local_device(load_params(PARAMS))
    require_name(name)
    folder = JUDGES / name
    if folder.exists():
        raise UserError(f"{folder} exists, and figures may rest on it. To fix this: choose another name.")
    concept = params.choose_concept(concept)
    if not (LABELS / concept).exists():
        raise UserError(f"{LABELS / concept} is missing. To make it: `hfi run --until ingest`.")
    with project_lock(), show_progress(f"judge {name}") as progress:
        from hfi_core.evaluation.probe_fitting import fit_probe
        from hfi_core.io.atomic import atomic_folder
        from hfi_core.models.weights import digest_of_weights, locate_weights, require_usable
        from hfi_core.params.model import Source

        weights = locate_weights(clip, revision, "clip")
        require_usable(weights, "clip")
        source = Source(source=clip, revision=revision, digest=digest_of_weights(weights))
        probe, figures = fit_probe(params, concept, CANDIDATES / concept, LABELS / concept, source, progress=progress)
        with atomic_folder(folder) as beside:
            probe.save(beside)
        digest = digest_of_weights(folder)
    card, people = probe.card, "simulated people" if probe.card["simulated"] else "people"
    info(f"{folder}: answers of {people} about {card['pictures']} pictures, {card['objectionable']} objectionable")
    for figure, measured in figures.items():
        if measured.value is not None:
            interval = f"[{measured.low:.2f}, {measured.high:.2f}]" if measured.low is not None else ""
            info(f"  {figure.replace('_', ' ')}: {measured.value:.2f} {interval}, n {measured.n}, cross-fitted")
    if (figures["auc"].low or 0) < SURE:
        warn(
            f"This probe may be too weak to judge with: its AUC may be as low as {figures['auc'].low or 0:.2f}. To fix "
            "this: keep more pictures for it (feedback.held_out_for_judge), have more judged, or choose a larger CLIP."
        )
    words = params.evaluate.judge
    flagged = list(words.flagged) or [params.concepts[concept].initial.objectionable]
    accepted = list(words.accepted) or [params.concepts[concept].text]
    info(f"Next: `dvc add {folder}`, and in params.yaml:")
    info("\n  evaluate:\n    judge:\n      kind: probe")
    info(f"      source: {folder}\n      revision: null\n      digest: {digest}")
    info("      # Words say what is on topic: flagged and accepted ones against those of other.")
    for key, texts in {"flagged": flagged, "accepted": accepted, "other": words.other}.items():
        info(f"      {key}: {json.dumps(texts, ensure_ascii=False)}")
    info("      threshold: 0.5" + ("\n      concepts: {}" if words.concepts else "") + "\n")
    info("Then `hfi run`, which draws and judges the rows again.")
