"""What Prefect's UI shows of a run: the comparison as a table, and where to look further."""

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
from hfi_core.secrets import without_passwords

_LARGEST = 2**20
"""Bytes of a picture that goes to Prefect's database."""


def show_comparison(params: Params, parent: str | None) -> None:
    """The table of `reports/evaluation.json` as an artifact, and the release's figures on the pipeline's MLflow run."""
    if not layout.EVALUATION.exists():
        return
    evaluation = records.read_evaluation(EVALUATION)
    header, *lines = build_comparison_table(evaluation)
    table = [dict(zip(header, line, strict=True)) for line in lines]
    create_table_artifact(table=table, key="comparison", description="Rows side by side, as value [low, high]")
    for row in evaluation["rows"]:
        if row["row"] == params.release.row:
            figures = {metric: figure["value"] for metric, figure in row["metrics"].items()}
            runs.record_metrics(params, parent, figures)
    create_markdown_artifact(_where(params), key="report", description="Where to look")
    if address := runs.run_url(params, parent):
        create_link_artifact(address, link_text="Run in MLflow", key="mlflow", description="The run in MLflow")
    if BANNER.exists() and BANNER.stat().st_size <= _LARGEST:
        # Prefect keeps an address of a picture, and no server serves this project's files: it holds the picture itself.
        picture = base64.b64encode(BANNER.read_bytes()).decode()
        create_image_artifact(
            f"data:image/png;base64,{picture}", key="pictures", description="Base and safeguarded at equal seeds"
        )


def show_record(record: Record) -> None:
    """Where the results were recorded."""
    create_markdown_artifact(f"`{record}`", key="record", description="The record in git and DVC")


def show_registration(registration: register.Registration) -> None:
    """The gates' verdicts as an artifact."""
    lines = [f"- `{verdict.metric}` {verdict}" for verdict in registration.verdicts]
    text = f"**{registration.model}** version {registration.version}, alias `{champion.ALIAS}`\n\n" + "\n".join(lines)
    create_markdown_artifact(text, key="release", description="Gates of the release")


def _where(params: Params) -> str:
    return (
        "- Report with pictures: `reports/report.html`\n"
        "- Figures: `reports/evaluation.json`, `reports/evaluation.csv`, `dvc metrics show`, `dvc plots show`\n"
        f"- Runs and registered models: `mlflow ui --backend-store-uri {without_passwords(params.tracking.mlflow)}`\n"
    )
