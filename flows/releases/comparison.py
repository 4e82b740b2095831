"""Two registered versions side by side: figures, paired differences, pictures at equal seeds."""

from dataclasses import dataclass
from pathlib import Path

from flows.releases.evaluation_record import EvaluationRecord, read_record
from flows.releases.versions import Version, find_release
from flows.tracking.client import registry_client
from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import PairedDifference, measure_difference
from hfi_core.evaluation.definitions import is_share
from hfi_core.params import Params
from hfi_core.report.side_by_side import ComparedRelease, PicturePair, write_side_by_side
from hfi_core.report.table import format_figure


@dataclass(frozen=True)
class Compared:
    """One figure of both versions."""

    metric: str
    first: str
    second: str
    difference: PairedDifference | None
    """The second less the first; None where they are no pairs."""


def compare_versions(params: Params, first: str, second: str, page: Path | None) -> list[Compared]:
    """Every figure that both have; a page with their pictures at equal seeds if `page` is given.

    Raises UserError if a version is not there, or was registered without figures.
    """
    client = registry_client(params)
    names = [find_release(params, name) for name in (first, second)]
    found = [read_record(params, client.get_model_version(one.model, one.number)) for one in names]
    one, other = (_row(figures, version) for figures, version in zip(found, names, strict=True))
    compared = [
        Compared(metric, format_figure(one[metric]), format_figure(other[metric]), _difference(params, metric, *found))
        for metric in one
        if metric in other
    ]
    if page:
        sides = [ComparedRelease(str(version), version.tags.get("gates", "unknown")) for version in names]
        table = [(one.metric, one.first, one.second, shown_difference(one)) for one in compared]
        write_side_by_side(page, sides, table, _pairs(*found))
    return compared


def shown_difference(compared: Compared) -> str:
    """The paired difference for people."""
    if compared.difference is None:
        return "no pairs"
    found = compared.difference
    return f"{found.interval.value:+.3f} [{found.interval.low:+.3f}, {found.interval.high:+.3f}], p {found.p:.2g}"


def _row(figures: EvaluationRecord, version: Version) -> dict[str, dict]:
    for row in figures.evaluation["rows"]:
        if row["row"] == version.tags.get("hfi.row"):
            return row["metrics"]
    raise UserError(f"{version}: its figures have no row {version.tags.get('hfi.row')}.")


def _difference(
    params: Params, metric: str, first: EvaluationRecord, second: EvaluationRecord
) -> PairedDifference | None:
    if not is_share(metric):
        return None
    try:
        return measure_difference(params, metric, second.records, first.records)
    except UserError:
        return None


def _pairs(first: EvaluationRecord, second: EvaluationRecord) -> list[PicturePair]:
    known = [
        {(one["suite"], one["index"]): (one["prompt"], one["seed"]) for one in figures.records}
        for figures in (first, second)
    ]
    return [
        PicturePair(place[0], *known[0][place], first.pictures[place], second.pictures[place])
        for place in first.pictures
        if place in second.pictures and known[0][place] == known[1][place]
    ]
