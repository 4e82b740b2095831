"""Check that a unit's params and inputs did not change while it ran.

DVC reads `params.yaml`, the files of prompts that it names, and the inputs after the unit has ended. If somebody edits
them meanwhile for the next experiment, DVC would record the edited ones as the origin of the outputs.
"""

from hfi_core.errors import UserError
from hfi_core.params import Params, load_params
from hfi_core.pipeline.graph import Unit, params_of, units_of, work_key
from hfi_core.pipeline.layout import PARAMS


def require_params(unit: Unit, params: Params) -> None:
    """Raise UserError if `params.yaml` has changed in a way that concerns the unit."""
    current = load_params(PARAMS)
    if current == params:
        return
    if unit not in units_of(current):
        raise _changed_error(f"{PARAMS} was changed since it was read: {unit.address} is gone or has other files", unit)
    old, new = params_of(unit, params), params_of(unit, current)
    changed = [key for key in old if old[key] != new[key]]
    if changed:
        raise _changed_error(f"{PARAMS} was changed since it was read ({', '.join(changed)})", unit)


def require_inputs(unit: Unit, params: Params, key: str) -> None:
    """Raise UserError if a unit's inputs are not those of its work key any more."""
    if not all(path.exists() for path in unit.inputs.values()) or work_key(unit, params) != key:
        paths = ", ".join(map(str, unit.inputs.values()))
        raise _changed_error(f"What {unit.address} reads ({paths}) was changed while it ran", unit)


def _changed_error(change: str, unit: Unit) -> UserError:
    return UserError(
        f"{change}; the outputs of {unit.address} are not recorded, because they come from the earlier files. Run the "
        "same command again: it uses the present files. To continue with the earlier ones, restore them first; their "
        "checkpoints are kept."
    )
