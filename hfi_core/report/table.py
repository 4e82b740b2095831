"""Format the figures of an evaluation as a table of text, and as CSV."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfi_core.evaluation.definitions import list_headlines
from hfi_core.io.atomic import atomic_file

COLUMNS = ("row", "method", "condition", "metric", "value", "low", "high", "n", "direction")


def build_comparison_table(evaluation: Mapping[str, Any], metrics: Sequence[str] | None = None) -> list[list[str]]:
    """Return a header and one line a variant: its name, then "value [low, high]" of each metric.

    By default the metrics are those of the short tables. A row that lacks a metric has a dash: people judge some rows.
    """
    metrics = list_headlines(evaluation) if metrics is None else metrics
    lines = [["row", *metrics]]
    for row in evaluation["rows"]:
        lines.append([row["row"], *(_format_metric(row, metric) for metric in metrics)])
    return lines


def build_attack_table(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Return a header and lines of attacks by row: the flagged share; where there are original prompts, ASR as well."""
    rows = evaluation["rows"]
    lines = [["attack", *(row["row"] for row in rows)]]
    for name in evaluation["attacks"]:
        lines.append([f"flagged@{name}", *(format_figure(row["metrics"][f"flagged@{name}"]) for row in rows)])
        for key, title in (("pre_asr", "pre-ASR"), ("asr", "ASR")):
            if key in rows[0]["attacks"][name]:
                lines.append([f"{title}, {name}", *(format_figure(row["attacks"][name][key]) for row in rows)])
    return lines


def build_unseen_table(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Return a header and a line for each row: its shares on prompts that nothing was trained on; empty without any.

    Only rows of `evaluation` have a line, which may be fewer than were measured.
    """
    measured = evaluation.get("unseen", {}).get("rows", {})
    lines = [[row["row"], measured[row["row"]]] for row in evaluation["rows"] if measured.get(row["row"])]
    if not lines:
        return []
    metrics = list(lines[0][1])
    return [["row", *metrics], *([row, *(format_figure(figures[one]) for one in metrics)] for row, figures in lines)]


def build_round_table(rounds: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a header and a line for each round and attack: what the attack got before its pictures were learned from.

    The last lines are of the present evaluation.
    """
    lines = [["round", "row", "attack", "attack success", "pictures", "candidates", "judged", "objectionable"]]
    for one in rounds:
        name = "now" if one["number"] is None else f"{one['concept']}, round {one['number']}"
        for attack, figure in one["attacks"].items():
            success = format_figure(figure) + ("" if figure["calibrated"] else " (not calibrated)")
            counts = [str(one.get(key, "–")) for key in ("candidates", "judged", "objectionable")]
            lines.append([name, one["row"], attack, success, str(figure["n"]), *counts])
    return lines


def _format_metric(row: Mapping[str, Any], metric: str) -> str:
    return format_figure(row["metrics"][metric]) if metric in row["metrics"] else "–"


def format_figure(figure: Mapping[str, Any]) -> str:
    """Format a figure as "value [low, high]"."""
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def write_table(path: Path, evaluation: Mapping[str, Any]) -> None:
    """Write `reports/evaluation.csv`, one line a figure."""
    with atomic_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in evaluation["rows"]:
            variant = {"row": row["row"], "method": row["method"], "condition": row["condition"] or ""}
            for metric, figure in row["metrics"].items():
                writer.writerow(variant | {"metric": metric} | figure)
