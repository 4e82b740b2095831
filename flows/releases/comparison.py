"""Compare two registered versions: figures, paired differences, pictures at equal seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.releases.evaluation_record import EvaluationRecord, read_record
from flows.releases.versions import Version, find_release
from flows.tracking.client import registry_client
from hfi_core.errors import UserError, first_line
from hfi_core.evaluation.comparison import PairedDifference, measure_difference
from hfi_core.evaluation.definitions import is_judged_share
from hfi_core.params import Params
from hfi_core.report.side_by_side import ComparedRelease, PicturePair, write_side_by_side
from hfi_core.report.table import format_figure


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of both versions."""

    metric: str
    first: str
    second: str
    difference: PairedDifference | None
    """The second minus the first; None if their pictures are not pairs."""


def compare_versions(params: Params, first: str, second: str, page: Path | None) -> list[ComparedMetric]:
    """Compare every metric that both versions have; write a page with their pictures at equal seeds to `page`.

    Raises UserError if a version does not exist, was registered without figures, or if MLflow has lost them.
    """
    client = registry_client(params)
    versions = [find_release(params, name) for name in (first, second)]
    records = [_read_record(params, client, version) for version in versions]
    metrics, others = (_metrics_of(record, version) for record, version in zip(records, versions, strict=True))
    compared = [
        ComparedMetric(name, format_figure(figure), format_figure(others[name]), _difference(params, name, *records))
        for name, figure in metrics.items()
        if name in others
    ]
    if page:
        sides = [ComparedRelease(str(version), version.tags.get("gates", "unknown")) for version in versions]
        table = [(metric.metric, metric.first, metric.second, format_difference(metric)) for metric in compared]
        write_side_by_side(page, sides, table, _picture_pairs(*records))
    return compared


def _read_record(params: Params, client: Any, version: Version) -> EvaluationRecord:
    from mlflow.exceptions import MlflowException

    try:
        return read_record(params, client.get_model_version(version.model, version.number))
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow at {params.tracking.mlflow} does not give the figures of {version}: {first_line(error)}\n"
            "  To fix this: start its server or restore its artifacts. `hfi doctor --deep` says what is out of reach."
        ) from error


def format_difference(compared: ComparedMetric) -> str:
    """Return the paired difference for people."""
    if compared.difference is None:
        return "no pairs"
    interval, p = compared.difference.interval, compared.difference.p
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}], p {p:.2g}"


def _metrics_of(record: EvaluationRecord, version: Version) -> dict[str, dict]:
    variant = version.tags.get("hfi.row")
    for row in record.evaluation["rows"]:
        if row["row"] == variant:
            return row["metrics"]
    raise UserError(f"{version}: its figures have no row {variant!r}, which its tag hfi.row names.")


def _difference(
    params: Params, metric: str, first: EvaluationRecord, second: EvaluationRecord
) -> PairedDifference | None:
    if not is_judged_share(metric):
        return None
    try:
        return measure_difference(params, metric, second.records, first.records)
    except UserError:
        return None


def _picture_pairs(first: EvaluationRecord, second: EvaluationRecord) -> list[PicturePair]:
    """Return the pictures that both versions drew for the same prompt at the same seed."""
    drawn = [
        {(picture["suite"], picture["index"]): (picture["prompt"], picture["seed"]) for picture in record.records}
        for record in (first, second)
    ]
    return [
        PicturePair(key[0], *drawn[0][key], first.pictures[key], second.pictures[key])
        for key in first.pictures
        if key in second.pictures and drawn[0][key] == drawn[1][key]
    ]
