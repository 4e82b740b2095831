"""Export the pictures of a row for harnesses of the field: `prompts.csv`, `imgs/CASE_0.png` and `report.json`.

It is a command, and not an output of a stage: the pictures exist already in `evaluation/ROW`, and the report names the
time of the export.
"""

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfi_core.errors import UserError, listed
from hfi_core.evaluation.definitions import PEOPLE_SHARES, SHARES
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.io.atomic import atomic_file, atomic_folder, require_writable
from hfi_core.io.hashing import sha256_of_json
from hfi_core.io.json_files import write_json
from hfi_core.params import Params

PROMPTS, PICTURES, REPORT = "prompts.csv", "imgs", "report.json"
_CASE = ("case_number", "prompt", "evaluation_seed", "evaluation_guidance")
"""Columns that I2P, ESD and UnlearnDiffAtk read."""
COLUMNS = (*_CASE, "suite", "role", *SHARES)
_RUN_ID = 8
"""Characters of a run id, as eval-unlearn has it."""


def export_row(
    params: Params,
    variant: EvaluatedVariant,
    evaluation: Mapping[str, Any],
    folder: Path,
    *,
    suites: Sequence[str] = (),
    timestamp: float,
) -> int:
    """Write the pictures, prompts and figures of a row into a folder, whole or not at all. Return the pictures.

    `prompts.csv` has one line a picture, in the order of its cases; the picture of case 12 is `imgs/12_0.png`. This is
    the data set of UnlearnDiffAtk (Zhang et al. 2024). `report.json` has the keys of a report of eval-unlearn 1.1 with
    several metrics. A metric is a figure of ours on one of our suites, under our own name: nothing is passed off as a
    metric of theirs.

    Args:
        evaluation: the content of `reports/evaluation.json`.
        folder: a new folder, or that of an earlier export, which is replaced.
        suites: names of the suites to write; by default all of params. What attacks found is not among them: it has a
            `prompts.csv` of its own in `attacks/ROW/NAME`.
        timestamp: seconds since 1970, which eval-unlearn takes the latest report by.

    Raises UserError if a suite is unknown, if the folder holds something else, or if the figures are not those of the
    pictures.
    """
    roles: Mapping[str, str] = evaluation["suites"]
    if unknown := [suite for suite in suites if suite not in roles]:
        raise UserError(f"There is no suite {unknown[0]!r} in the evaluation; there are {', '.join(roles)}.")
    if removed := [suite for suite in roles if suite not in params.evaluate.suites]:
        raise UserError(
            f"reports/evaluation.json has the suite {removed[0]!r}, and params.yaml does not. "
            "To fix this: run `hfi run`."
        )
    chosen = [suite for suite in roles if suite in suites or not suites]
    metrics = _find_metrics(variant, evaluation, chosen)
    _require_replaceable(folder)
    records = [record for suite in chosen for record in _records(variant, suite)]
    with atomic_folder(folder) as target:
        (target / PICTURES).mkdir()
        for case, record in enumerate(records):
            picture = variant.folder / f"pictures/{record['suite']}/{record['index']:05d}.png"
            shutil.copyfile(picture, target / PICTURES / f"{case}_0.png")
        _write_prompts(target / PROMPTS, params, records, roles)
        write_json(target / REPORT, _build_report(params, variant, metrics, records, roles, timestamp))
    return len(records)


def _records(variant: EvaluatedVariant, suite: str) -> list[dict[str, Any]]:
    return [variant.records[position] for position in variant.positions[suite]]


def _find_metrics(
    variant: EvaluatedVariant, evaluation: Mapping[str, Any], suites: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the row's figures on the chosen suites by `FIGURE@SUITE`."""
    rows = {row["row"]: row["metrics"] for row in evaluation["rows"]}
    if variant.name not in rows:
        raise UserError(f"reports/evaluation.json has no row {variant.name!r}; it has {', '.join(rows)}.")
    metrics = {name: figure for name, figure in rows[variant.name].items() if name.partition("@")[2] in suites}
    for suite in suites:
        pictures = variant.column(suite, "flagged") if suite in variant.positions else np.array([])
        figure = metrics[f"flagged@{suite}"]
        if len(pictures) != figure["n"] or abs(pictures.mean() - figure["value"]) > 1e-5:
            raise UserError(
                f"reports/evaluation.json is not of the pictures in {variant.folder}: flagged@{suite} differs. "
                "To fix this: run `hfi run`."
            )
    return metrics


def _require_replaceable(folder: Path) -> None:
    """Raise UserError if a folder holds anything but an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder.")
    require_writable(folder / PROMPTS)
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if others := sorted(names - {PROMPTS, PICTURES, REPORT}):
        raise UserError(
            f"{folder} holds {listed(others, 3)}, and an export replaces the whole folder. "
            "To fix this: name a new folder."
        )


def _write_prompts(path: Path, params: Params, records: Sequence[Mapping[str, Any]], roles: Mapping[str, str]) -> None:
    with atomic_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for case, record in enumerate(records):
            guidance = record["guidance"] if record["guidance"] is not None else params.sampler.guidance
            asked = (case, record["prompt"], record["seed"], guidance)
            known = dict(zip(_CASE, asked, strict=True)) | {"suite": record["suite"], "role": roles[record["suite"]]}
            writer.writerow(known | {name: _flag(record[name]) for name in SHARES})


def _flag(verdict: bool | None) -> int | str:
    return "" if verdict is None else int(verdict)


def _build_report(
    params: Params,
    variant: EvaluatedVariant,
    metrics: Mapping[str, Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    roles: Mapping[str, str],
    timestamp: float,
) -> dict[str, Any]:
    provenance = variant.provenance
    judge = provenance["judge"]
    concepts = {name: concept.text for name, concept in params.concepts.items()}
    results: dict[str, Any] = {}
    configs: dict[str, dict[str, Any]] = {}
    for name, figure in metrics.items():
        share, suite = name.split("@")
        results[name] = {
            "name": share,
            "value": figure["value"],
            "details": {
                "dataset": suite,
                "role": roles[suite],
                "total_images": figure["n"],
                "low": figure["low"],
                "high": figure["high"],
                "better": figure["direction"],
            },
        }
        configs[name] = {"level": params.evaluate.level, "resamples": params.evaluate.resamples}
        if share in SHARES:
            hits = [case for case, record in enumerate(records) if record["suite"] == suite and record[share]]
            concept = params.evaluate.suites[suite].concept
            results[name]["details"] |= {
                "count": len(hits),
                "cases": hits,
                "concept": concepts.get(concept or "", ", ".join(concepts.values())).lower(),
                "detector": judge["kind"],
            }
            configs[name] |= {"judge": judge}
        elif share in PEOPLE_SHARES:
            results[name]["details"] |= {"detector": "people"}
        else:
            configs[name] |= {"clip": provenance.get("clip")}
    removal = params.removals[variant.name]
    technique = {
        "row": variant.name,
        "settings": removal.model_dump(mode="json", exclude={"source"}),
        "model": provenance.get("model"),
        "weights_sha256": provenance.get("weights_sha256"),
        "sampler": provenance.get("sampler"),
        "seed": provenance.get("seed"),
        "versions": provenance.get("versions"),
    }
    pictures = [record["sha256"] for record in records]
    return {
        "run_id": sha256_of_json([provenance, pictures, results])[:_RUN_ID],
        "timestamp": timestamp,
        "technique_name": variant.name,
        "erase_concept": ", ".join(text.lower() for text in concepts.values()),
        "metric_names": list(results),
        "metric_results": results,
        "technique_config": technique,
        "metric_configs": configs,
    }
