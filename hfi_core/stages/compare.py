"""The end of stage 6: compare all variants by figures, paired tests, plots and a page (method, section 6)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfi_core.evaluation.curves import list_shown_rows
from hfi_core.evaluation.human_figures import add_human_figures
from hfi_core.evaluation.human_judgements import read_human_judgements
from hfi_core.evaluation.measure import build_evaluation
from hfi_core.evaluation.records import read_variants
from hfi_core.evaluation.rounds import describe_rounds
from hfi_core.evaluation.unseen_prompts import measure_unseen
from hfi_core.feedback.labels import read_pairs
from hfi_core.io.atomic import atomic_file, atomic_folder
from hfi_core.io.json_files import read_json, read_jsonl, write_json
from hfi_core.io.training_curve import read_losses
from hfi_core.params import Params
from hfi_core.pipeline.stage import StageContext
from hfi_core.report.images import write_banner
from hfi_core.report.page import ConceptReports, write_page
from hfi_core.report.plots import PlotData, draw_plots, write_removal_csv
from hfi_core.report.table import write_table
from hfi_core.reward.model import SCORES, Score, measure_scores


def run(context: StageContext) -> dict[str, float]:
    """Compare the removals that params name. Return the figures of the released one."""
    params, inputs, outputs = context.params, context.inputs, context.outputs
    rows = read_variants(inputs["evaluation"], list(params.removals))
    background = ConceptReports(
        feedback={name: read_json(inputs["labels"] / name / "summary.json") for name in params.concepts},
        reward={name: _read_reward(params, inputs, name) for name in params.concepts},
        tokens={name: read_json(inputs["tokens"] / name / "check.json") for name in params.concepts},
    )
    # Read before anything is measured: a wrong file costs seconds.
    judgements = read_human_judgements(inputs["people"], rows) if "people" in inputs else None
    evaluation = build_evaluation(params, rows, background.feedback, context.progress)
    if judgements is not None:
        evaluation = add_human_figures(params, evaluation, rows, judgements)
    unseen = measure_unseen(params, rows)
    evaluation |= {"unseen": unseen} if unseen else {}
    rounds = (
        describe_rounds(params, inputs["candidates"], inputs["labels"], evaluation) if "candidates" in inputs else []
    )
    evaluation |= {"rounds": rounds} if rounds else {}
    # A project with curves has too many rows to show each: one of each curve stands for the others.
    curves = evaluation.get("curves")
    names = [row.name for row in rows]
    if curves:
        shown_rows = {*list_shown_rows(params, curves), *(judgements.tallies if judgements else ())}
        names = [name for name in names if name in shown_rows]
    shown = evaluation | {"rows": [row for row in evaluation["rows"] if row["row"] in names]}
    plot_data = PlotData(
        evaluation=shown,
        losses=read_losses(inputs["models"], [row.name for row in rows if row.name in names]),
        scores={name: read_jsonl(inputs["reward"] / name / "scores.jsonl") for name in params.concepts},
    )
    values = {
        row["row"]: {metric: figure["value"] for metric, figure in row["metrics"].items()} for row in evaluation["rows"]
    }
    released = next(row for row in rows if row.name == params.release.row)

    # The page checks the gates' names, so it comes before the outputs that others read.
    plots = draw_plots(plot_data)
    write_page(outputs["page"], params, shown, [row for row in rows if row.name in names], plots, background)
    with atomic_folder(outputs["plots"]) as folder:
        for name, svg in plots.items():
            with atomic_file(folder / f"{name}.svg") as beside:
                beside.write_text(svg, encoding="utf-8")
        write_removal_csv(folder / "removal.csv", evaluation)
        write_banner(folder / "banner.png", rows[0], released, params.evaluate.suites_of("broad")[0])
    write_table(outputs["table"], evaluation)
    write_json(outputs["metrics"], values)
    write_json(outputs["evaluation"], evaluation)
    return values[params.release.row]


def _read_reward(params: Params, inputs: Mapping[str, Path], concept: str) -> dict[str, Any]:
    """Return the report of a concept's reward model, with an interval for each figure."""
    folder = inputs["reward"] / concept
    report = read_json(folder / "report.json")
    scores = [Score(**row) for row in read_jsonl(folder / SCORES)]
    pairs = read_pairs(inputs["labels"] / concept) if report["kind"] == "ranking" else ()
    # The values are those of the rewards before they were rounded for the file.
    measured = measure_scores(scores, params, concept, pairs)
    metrics = {
        name: {**figure, "low": measured[name].low, "high": measured[name].high}
        for name, figure in report["metrics"].items()
    }
    return report | {"metrics": metrics}
