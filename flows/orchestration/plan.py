"""Plan a run: ask DVC which units are out of date. This imports neither prefect nor mlflow nor torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.releases.register import is_registered
from flows.versioning.dvc_yaml import require_current
from flows.versioning.inputs import dvc_file_of, require_external_inputs
from flows.versioning.repo import find_changes
from hfi_core.errors import UserError, listed
from hfi_core.params import Params, is_recipe, load_params
from hfi_core.pipeline.graph import Unit, downstream, judgement_readers, units_until
from hfi_core.pipeline.layout import PARAMS, RELEASE

_MAX_NAMED = 5
"""Units that a message names."""


@dataclass(frozen=True)
class Plan:
    """The units of a run, and which are out of date."""

    params: Params
    units: tuple[Unit, ...]
    stale: Mapping[str, str]
    """Reason by address, of units whose own command, params, inputs or outputs differ from what DVC knows."""
    affected: tuple[Unit, ...]
    """The stale units and all that depend on them. The latter run only if what they read really changes."""
    registers: bool
    """Whether the release is registered at the end."""
    until: str | None
    """The last stage of the run; None for all."""

    @property
    def before_people(self) -> tuple[Unit, ...]:
        """Return the units that make what people judge, if the run waits for judgements; else all units."""
        first = next(iter(judgement_readers(self.params, self.units)), None)
        return self.units if first is None else self.units[: self.units.index(first)]

    @property
    def after_people(self) -> tuple[Unit, ...]:
        """Return the other units."""
        return self.units[len(self.before_people) :]

    @property
    def makes_candidates(self) -> bool:
        """Return whether something that people are to judge is out of date."""
        return any(unit in self.affected for unit in self.before_people)

    def describe(self) -> str:
        """Return one line for people and for names of runs."""
        count = len(self.affected)
        return f"{count} unit{'' if count == 1 else 's'} out of date" if count else "all units up to date"


def make_plan(until: str | None = None) -> Plan:
    """Plan the project in the current folder.

    Raises UserError for invalid params, a `dvc.yaml` that does not match them and this version, missing feedback, or an
    unknown stage.
    """
    params = load_params(PARAMS)
    units = units_until(params, until)
    require_current(params)
    file = Path(params.feedback.file)
    snapshot_to_come = params.feedback.store and not dvc_file_of(file).exists()
    require_external_inputs(units, provided=[file] if snapshot_to_come else [])
    changed = find_changes()
    stale = {unit.address: _reason(unit, changed[unit.address]) for unit in units if unit.address in changed}
    affected = tuple(downstream(units, stale))
    has_weights = not is_recipe(params.removals[params.release.row])
    registers = has_weights and until is None and (bool(affected) or not RELEASE.exists() or not is_registered(params))
    return Plan(params, tuple(units), stale, affected, registers, until)


def require_up_to_date(plan: Plan) -> None:
    """Raise UserError if a unit is out of date: the outputs do not belong to the present params and judgements."""
    if plan.affected:
        first = listed([unit.address for unit in plan.affected], _MAX_NAMED)
        raise UserError(
            f"{first}: out of date, or depends on a unit that is. Publishing now would record inputs that did not "
            "produce this release.\nTo fix this: run `hfi run`, which registers the release, too. `hfi status` lists "
            "the changes."
        )


def _reason(unit: Unit, change: str) -> str:
    """Return why a unit is out of date. One that never ran differs in everything, which is one reason."""
    return change if any(path.exists() for path in unit.outputs.values()) else "not made yet"
