"""Runs one unit. The flow and `hfi stage` both come through here: one code path, two doors."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from flows.execution import cost
from flows.execution import cost as throughput
from flows.execution.input_guard import require_inputs, require_params
from flows.execution.job import Job
from flows.execution.parallelism import ONE_PROCESS, Parallelism
from flows.runtime import logs
from flows.runtime.console import show_progress
from flows.runtime.device import with_local_device
from flows.versioning.inputs import describe_missing_input
from hfi_core.errors import UserError
from hfi_core.params import Params
from hfi_core.params.workload import unet_passes
from hfi_core.pipeline.graph import WORK_KEY, Unit, units_of, work_key
from hfi_core.pipeline.layout import STATE
from hfi_core.progress import Progress

WORK = STATE / "work"


@dataclass(frozen=True)
class FinishedUnit:
    """A unit that has just run."""

    unit: Unit
    metrics: dict[str, float]
    cost: cost.Cost
    device: str
    """On which it was computed: this machine's, or that of params."""


def find_unit(params: Params, stage: str, unit: str, revision: int) -> Unit:
    """The unit that a command of `dvc.yaml` means.

    Raises UserError if there is none, or if the stage's code has another revision.
    """
    units = [one for one in units_of(params) if one.stage.name == stage]
    if not units:
        names = ", ".join(dict.fromkeys(one.stage.name for one in units_of(params)))
        raise UserError(f"There is no stage {stage!r} under these params; there are {names}.")
    if revision != units[0].stage.revision:
        raise UserError(
            f"dvc.yaml asks for {stage} at revision {revision}, the installed code has {units[0].stage.revision}: "
            "run `hfi params sync`, then the same command again."
        )
    for one in units:
        if one.unit == unit:
            return one
    names = ", ".join(one.unit for one in units)
    raise UserError(f"{stage} has no unit {unit!r}; it has {names}." if names else f"{stage} takes no --unit.")


def run_unit(
    unit: Unit, params: Params, also: Progress | None = None, spread: Parallelism = ONE_PROCESS
) -> FinishedUnit:
    """Run a unit's function with its checkpoints' folder; drop that folder once the outputs are there.

    `also` hears of the progress that the user sees. Where `spread` says so, shards fill the folder first (of a stage
    that can be split), or several processes learn together (where a stage can). It computes on this machine's device.

    Raises UserError if `params.yaml` or an input says something else before or after than what was computed with: who
    called is about to keep the outputs in DVC under what these files say then.
    """
    require_params(unit, params)
    asked_for, params = params, with_local_device(params)
    for path in unit.inputs.values():
        if not path.exists():
            raise UserError(describe_missing_input(unit, path))
    key = work_key(unit, params)
    work = WORK / f"{unit.address}-{key}"
    work.mkdir(parents=True, exist_ok=True)
    resumed = any(work.iterdir())
    run = unit.stage.load()
    ahead = unet_passes(unit.stage.name, unit.unit, params)
    splits = spread.splits and bool(unit.stage.shards)
    replicates = spread.processes > 1 and unit.stage.replicates and ahead.steps > 0
    with (
        logs.log_fields(stage=unit.stage.name, unit=unit.unit or None),
        cost.measure_cost() as spent,
        show_progress(unit.address) as show,
    ):

        def progress(done: int, total: int, what: str) -> None:
            what = what.removeprefix(f"{unit.unit}: ")  # some stages name their unit; the bar does already
            show(done, total, what)
            if also:
                also(done, total, what)

        if splits:
            from flows.execution.shards import compute_shards  # prefect

            compute_shards(Job(unit, params, work), spread, progress)
        if replicates:
            from flows.execution.data_parallel import train_data_parallel

            metrics = train_data_parallel(Job(unit, params, work), spread.processes, progress)
        else:
            metrics = run(params, unit.inputs, unit.outputs, unit=unit.unit, work=work, progress=progress)
    require_params(unit, asked_for)
    require_inputs(unit, params, key)
    for folder in checkpoints(unit.address):
        shutil.rmtree(folder)
    # A run that went on from a checkpoint, or was spread, did here only a part of the work: it tells no rate.
    asked = None if resumed or splits or replicates else throughput.describe_unet_work(params, ahead)
    cost.append_cost(unit.address, spent, params.compute.device, asked)
    return FinishedUnit(unit, metrics, spent, params.compute.device)


def checkpoints(address: str) -> list[Path]:
    """Folders of checkpoints that lie about for a unit, under present and earlier params."""
    return [folder for folder in sorted(WORK.glob("*")) if folder.name[: -WORK_KEY - 1] == address]
