"""What Prefect's UI shows of a run: the comparison as a table, and where to look further."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows import registry, tracking
from hfi_core.params import Params
from hfi_core.report.table import comparison_table


def show_comparison(params: Params, parent: str | None) -> None:
    """The table of `reports/evaluation.json` as an artifact, and the release's figures on the pipeline's MLflow run."""
    if not registry.EVALUATION.exists():
        return
    evaluation = registry.read_evaluation()
    header, *lines = comparison_table(evaluation)
    table = [dict(zip(header, line, strict=True)) for line in lines]
    create_table_artifact(table=table, key="comparison", description="Rows side by side, as value [low, high]")
    for row in evaluation["rows"]:
        if row["row"] == params.release.row:
            figures = {metric: figure["value"] for metric, figure in row["metrics"].items()}
            tracking.record_figures(params, parent, figures)
    create_markdown_artifact(_where(params), key="report", description="Where to look")


def show_registration(registration: registry.Registration) -> None:
    """The gates' verdicts as an artifact."""
    lines = [f"- `{verdict.metric}` {verdict}" for verdict in registration.verdicts]
    text = f"**{registration.model}** version {registration.version}, alias `{registry.ALIAS}`\n\n" + "\n".join(lines)
    create_markdown_artifact(text, key="release", description="Gates of the release")


def _where(params: Params) -> str:
    return (
        "- Report with pictures: `reports/report.html`\n"
        "- Figures: `reports/evaluation.json`, `reports/evaluation.csv`, `dvc metrics show`, `dvc plots show`\n"
        f"- Runs and registered models: `mlflow ui --backend-store-uri {params.tracking.mlflow}`\n"
    )
