"""Show a run in Prefect's UI: the comparison as a table, the verdicts of the gates, where the results are."""

import base64

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from flows.releases import champion, register
from flows.tracking import runs
from flows.versioning.results_branch import Record
from hfi_core.evaluation import records
from hfi_core.params import Params
from hfi_core.pipeline import layout
from hfi_core.pipeline.layout import BANNER, EVALUATION
from hfi_core.report.table import build_comparison_table
from hfi_core.secrets import hide_passwords

_MAX_BYTES = 2**20
"""Size of a picture that goes to Prefect's database."""


def show_comparison(params: Params, parent: str | None) -> None:
    """Show the table of `reports/evaluation.json`; record the release's metrics in the pipeline's MLflow run."""
    if not layout.EVALUATION.exists():
        return
    evaluation = records.read_evaluation(EVALUATION)
    header, *lines = build_comparison_table(evaluation)
    table = [dict(zip(header, line, strict=True)) for line in lines]
    create_table_artifact(table=table, key="comparison", description="Rows side by side, as value [low, high]")
    for row in evaluation["rows"]:
        if row["row"] == params.release.row:
            metrics = {metric: figure["value"] for metric, figure in row["metrics"].items()}
            runs.record_metrics(params, parent, metrics)
    create_markdown_artifact(_describe_locations(params), key="report", description="Where to find the results")
    if address := runs.run_url(params, parent):
        create_link_artifact(address, link_text="Run in MLflow", key="mlflow", description="The run in MLflow")
    if BANNER.exists() and BANNER.stat().st_size <= _MAX_BYTES:
        # Prefect stores the address of a picture. No server serves this project's files, so the address is the picture.
        picture = base64.b64encode(BANNER.read_bytes()).decode()
        create_image_artifact(
            f"data:image/png;base64,{picture}", key="pictures", description="Base and safeguarded at equal seeds"
        )


def show_record(record: Record) -> None:
    """Show where the results were recorded."""
    create_markdown_artifact(f"`{record}`", key="record", description="The record in git and DVC")


def show_registration(registration: register.Registration) -> None:
    """Show the gates' verdicts."""
    lines = [f"- `{verdict.metric}` {verdict}" for verdict in registration.verdicts]
    title = f"**{registration.model}** version {registration.version}, alias `{champion.CANDIDATE}`"
    create_markdown_artifact("\n".join([title, "", *lines]), key="release", description="Gates of the release")


def _describe_locations(params: Params) -> str:
    return (
        "- Report with pictures: `reports/report.html`\n"
        "- Figures: `reports/evaluation.json`, `reports/evaluation.csv`, `dvc metrics show`, `dvc plots show`\n"
        f"- Runs and registered models: `mlflow ui --backend-store-uri {hide_passwords(params.tracking.mlflow)}`\n"
    )
