"""Run one unit. The flow and `hfi stage` both call this module."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flows.execution import cost
from flows.execution.input_guard import require_inputs, require_params
from flows.execution.job import Job
from flows.execution.parallelism import ONE_PROCESS, Parallelism
from flows.runtime import logs
from flows.runtime.console import show_progress
from flows.runtime.device import with_local_device
from flows.versioning.inputs import describe_missing_input
from flows.versioning.pointer_recovery import read_entries
from hfi_core.errors import UserError
from hfi_core.params import Params
from hfi_core.params.workload import count_unet_passes
from hfi_core.pipeline.graph import WORK_KEY, Unit, units_of, work_key
from hfi_core.pipeline.layout import STATE
from hfi_core.progress import Progress

WORK = STATE / "work"
_FINISHED = "finished"
"""File in a folder with checkpoints whose unit has written its outputs."""


@dataclass(frozen=True)
class FinishedUnit:
    """A unit that has just run."""

    unit: Unit
    metrics: dict[str, float]
    cost: cost.Cost
    device: str
    """Device that computed it: this machine's own, or that of params."""


def find_unit(params: Params, stage: str, unit: str, revision: int) -> Unit:
    """Return the unit that a command of `dvc.yaml` names.

    Raises UserError if there is none, or if the installed stage has another revision.
    """
    all_units = list(units_of(params))
    units = [candidate for candidate in all_units if candidate.stage.name == stage]
    if not units:
        names = ", ".join(dict.fromkeys(candidate.stage.name for candidate in all_units))
        raise UserError(f"There is no stage {stage!r} under these params; there are {names}.")
    if revision != units[0].stage.revision:
        raise UserError(
            f"dvc.yaml asks for {stage} at revision {revision}, the installed code has {units[0].stage.revision}: "
            "run `hfi params sync`, then the same command again."
        )
    for candidate in units:
        if candidate.unit == unit:
            return candidate
    names = ", ".join(candidate.unit for candidate in units)
    raise UserError(f"{stage} has no unit {unit!r}; it has {names}." if names else f"{stage} takes no --unit.")


def run_unit(
    unit: Unit,
    params: Params,
    progress_callback: Progress | None = None,
    parallelism: Parallelism = ONE_PROCESS,
) -> FinishedUnit:
    """Run a unit on this machine's device. Its checkpoints stay until `remove_checkpoints`, after the commit to DVC.

    Args:
        progress_callback: receives the progress that the user sees, too.
        parallelism: first computes a stage that can be split in shards; learns in several processes where a stage can.

    Raises UserError if `params.yaml` or an input changed while the unit ran. DVC would otherwise record the outputs
    under inputs that did not produce them.
    """
    require_params(unit, params)
    project_params, params = params, with_local_device(params)
    for path in unit.inputs.values():
        if not path.exists():
            raise UserError(describe_missing_input(unit, path))
    key = work_key(unit, params)
    work = WORK / f"{unit.address}-{key}"
    work.mkdir(parents=True, exist_ok=True)
    resumed = any(work.iterdir())
    run = unit.stage.load()
    workload = count_unet_passes(unit.stage.name, unit.unit, params)
    in_shards = parallelism.uses_shards and bool(unit.stage.shards)
    data_parallel = parallelism.processes > 1 and unit.stage.replicates and workload.steps > 0
    with (
        logs.log_fields(stage=unit.stage.name, unit=unit.unit or None),
        cost.measure_cost() as spent,
        show_progress(unit.address) as show,
    ):

        def progress(done: int, total: int, part: str) -> None:
            part = part.removeprefix(f"{unit.unit}: ")  # some stages name their unit, as the bar already does
            show(done, total, part)
            if progress_callback:
                progress_callback(done, total, part)

        if in_shards:
            from flows.execution.shards import compute_shards  # imports Prefect

            compute_shards(Job(unit, params, work), parallelism, progress)
        if data_parallel:
            from flows.execution.data_parallel import train_data_parallel

            metrics = train_data_parallel(Job(unit, params, work), parallelism.processes, progress)
        else:
            metrics = run(unit.context(params, work=work, progress=progress))
    require_params(unit, project_params)
    require_inputs(unit, params, key)
    # A unit that continued from a checkpoint, or ran in several processes, did only a part of the work in this time.
    unet = None if resumed or in_shards or data_parallel else cost.describe_unet_work(params, workload)
    cost.try_append_cost(unit.address, spent, params.compute.device, unet)
    return FinishedUnit(unit, metrics, spent, params.compute.device)


def mark_finished(unit: Unit) -> None:
    """Mark that the outputs of a unit exist, and that `dvc repro` commits them next."""
    for folder in checkpoints(unit.address):
        (folder / _FINISHED).write_text(read_entries().get(unit.address, ""), encoding="utf-8")


def remove_committed_checkpoints(up_to_date: Iterable[str] = ()) -> None:
    """Remove the checkpoints of finished units that `dvc repro` has committed since.

    A unit is committed if its entry in `dvc.lock` has changed, or if it is among the addresses in `up_to_date`.
    """
    addresses, marks = set(up_to_date), list(WORK.glob(f"*/{_FINISHED}"))
    entries = read_entries() if marks else {}
    for mark in marks:
        address = mark.parent.name[: -WORK_KEY - 1]
        if address in addresses or mark.read_text(encoding="utf-8") != entries.get(address, ""):
            shutil.rmtree(mark.parent, ignore_errors=True)


def remove_checkpoints(address: str) -> None:
    """Remove the checkpoints of a unit whose outputs are committed."""
    for folder in checkpoints(address):
        shutil.rmtree(folder, ignore_errors=True)


def checkpoints(address: str) -> list[Path]:
    """Return the folders with checkpoints of a unit, under present and earlier params."""
    return [folder for folder in sorted(WORK.glob("*")) if folder.name[: -WORK_KEY - 1] == address]
