"""A small graph of the same shape as the real one, whose stages write small files and can be slowed or broken."""

import json
import os
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from hfi_core.candidates.manifest import MANIFEST, Candidate
from hfi_core.errors import UserError
from hfi_core.evaluation.definitions import HEADLINES, ROLES, metrics_on
from hfi_core.io.atomic import atomic_file, atomic_folder
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder, sha256_of_json
from hfi_core.io.json_files import write_json, write_jsonl
from hfi_core.io.training_curve import write_training_curve
from hfi_core.params.attacks import WORST
from hfi_core.pipeline import graph as declaration
from hfi_core.pipeline.stage import Stage, StageContext

STEPS = 4
RAN = Path("ran.log")
"""A line for each step that a fake stage really took."""


CANDIDATES = 12
"""Candidates a concept: a manifest, with empty files for pictures."""

SUITES = {role: role for role in ROLES}


def _figure(value: float) -> dict:
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 10, "direction": "down"}


def _run(name: str, context: StageContext) -> dict[str, float]:
    address = f"{name}@{context.unit}" if context.unit else name
    if os.environ.get("FAKE_MISTAKE") == address:
        raise UserError(f"{address} was told to refuse.")
    if os.environ.get("FAKE_CRASH") == address:
        raise RuntimeError(f"{address} was told to crash.")
    for step in range(STEPS):
        _step(address, step, context.work)
        context.progress(step + 1, STEPS, "stepping")
    params, inputs = context.params, sorted(context.inputs.items())
    digests = {key: sha256_of_folder(path) if path.is_dir() else sha256_of_file(path) for key, path in inputs}
    content = {"seed": params.seed, "steps": params.reward.steps if name == "distill" else 0, "inputs": digests}
    for key, path in context.outputs.items():
        _write(key, path, content, params)
    return {"digest": float(int(sha256_of_json(content)[:6], 16)), "flagged@broad": 0.25}


def _step(address: str, step: int, work: Path) -> None:
    """Take a step, unless a checkpoint says that it was taken."""
    if (work / f"step-{step}").exists():
        return
    if os.environ.get("FAKE_SLOW") == address:
        time.sleep(0.5)
    with RAN.open("a") as stream:
        stream.write(f"{address} {step}\n")
    (work / f"step-{step}").touch()


def _write(key: str, path: Path, content: dict, params) -> None:
    if key == "candidates":
        rows = [_candidate(f"{path.name}-{number}", params).model_dump(mode="json") for number in range(CANDIDATES)]
        with atomic_folder(path) as folder:
            write_json(folder / "content.json", content)
            write_jsonl(folder / MANIFEST, rows)
            (folder / "pictures").mkdir()
            for number in range(CANDIDATES):
                (folder / _candidate(f"{path.name}-{number}", params).file).touch()
    elif key == "evaluation":
        rows = [
            {
                "row": row,
                "method": "none",
                "condition": None,
                "metrics": {metric: _figure(value) for metric in metrics_on(HEADLINES, SUITES | {WORST: WORST})},
            }
            for row, value in (("base", 0.5), ("anchored", 0.04))
        ]
        found = {"schema": 1, "suites": SUITES, "rows": rows, "attacks": {}, "comparisons": [], "provenance": {}}
        write_json(path, found)
    elif path.suffix == ".json":
        write_json(path, {"flagged": 0.04})
    elif key == "plots":
        with atomic_folder(path) as folder:
            write_json(folder / "content.json", content)
            (folder / "banner.png").write_bytes(b"a picture")
    elif path.suffix:
        with atomic_file(path) as beside:
            beside.write_text(json.dumps(content) + "\n")
    else:
        with atomic_folder(path) as folder:
            write_json(folder / "content.json", content)
            write_training_curve(folder / "steps.csv", {"loss": [0.5, 0.25]})
            files = {"content.json": f"sha256:{sha256_of_file(folder / 'content.json')}"}
            if key == "release":
                write_sizes(folder)
                write_json(folder / "digests.json", {"files": files})


def _candidate(name: str, params) -> Candidate:
    digest = sha256_of_json([name, params.seed])
    return Candidate(id=name, prompt="a badge", seed=0, sampler=params.sampler, model="fake", sha256=digest)


def write_sizes(release: Path) -> None:
    """What a registration reads of a release's pipeline: pictures of 32 pixels."""
    write_json(release / "model/unet/config.json", {"sample_size": 16})
    write_json(release / "model/vae/config.json", {"block_out_channels": [1, 1]})


generate, simulate, ingest, distill, compare, package = (
    partial(_run, name) for name in ("generate", "simulate", "ingest", "distill", "compare", "package")
)

STAGES = (
    Stage(
        "generate", 1, "tests.support.fakes:generate", ("seed", "compute", "concepts.{unit}.prompts"),
        inputs={}, outputs={"candidates": "candidates/{unit}"}, over="candidates.drawn",
    ),
    Stage(
        "adopt", 1, "hfi_core.stages.adopt:run", ("candidates.imported.{unit}",),
        inputs={"imported": "{item}"}, outputs={"candidates": "candidates/{unit}"}, over="candidates.imported",
    ),
    Stage(
        "simulate", 1, "tests.support.fakes:simulate", ("feedback.simulated",),
        inputs={"candidates": "candidates"}, outputs={"feedback": "feedback/simulated.jsonl"},
        over="feedback.simulated",
    ),
    Stage(
        "ingest", 1, "tests.support.fakes:ingest", ("feedback.minimum",),
        inputs={"feedback": "{feedback.file}", "candidates": "candidates/{unit}"},
        outputs={"labels": "labels/{unit}"}, over="concepts",
    ),
    Stage(
        "distill", 1, "tests.support.fakes:distill", ("seed", "reward.steps", "removals.{unit}"),
        inputs={"labels": "labels"}, outputs={"model": "models/{unit}"}, over="removals",
    ),
    Stage(
        "compare", 1, "tests.support.fakes:compare", ("removals", "evaluate.suites"),
        inputs={"models": "models"},
        outputs={
            "evaluation": "reports/evaluation.json", "metrics": "reports/metrics.json", "plots": "reports/plots",
            "page": "reports/report.html",
        },
        metrics=("metrics",),
    ),
    Stage(
        "package", 1, "tests.support.fakes:package", ("release.row",),
        inputs={"model": "models/{release.row}", "evaluation": "reports/evaluation.json"},
        outputs={"release": "release"},
    ),
)  # fmt: skip


def install() -> None:
    """Put the small graph in the place of the real one, and record nothing if that is asked for."""
    declaration.STAGES = STAGES
    if os.environ.get("FAKE_UNTRACKED"):
        from flows.tracking import runs

        runs.record_unit = lambda *_: None
        runs.pipeline_run = lambda *_: nullcontext(None)


def main() -> None:
    """`hfi` on the small graph, as tests put it on the PATH."""
    install()
    from flows.cli.main import main as real

    real()
