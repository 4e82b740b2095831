"""What a unit rests on has to stand still while it runs: DVC reads `params.yaml` and the inputs when it is done.

Without this, what somebody saves meanwhile for the next experiment would be locked as what made these outputs.
"""

from hfi_core.errors import UserError
from hfi_core.params import Params, load_params
from hfi_core.pipeline.graph import Unit, params_of, units_of, work_key
from hfi_core.pipeline.layout import PARAMS


def require_params(unit: Unit, params: Params) -> None:
    """Raise UserError unless `params.yaml` still says of a unit what `params` do."""
    now = load_params(PARAMS)
    if now == params:
        return
    if unit not in units_of(now):
        raise _refusal(f"{PARAMS} was changed since it was read: {unit.address} is gone or has other files", unit)
    read, said = params_of(unit, params), params_of(unit, now)
    changed = [key for key in read if read[key] != said[key]]
    if changed:
        raise _refusal(f"{PARAMS} was changed since it was read ({', '.join(changed)})", unit)


def require_inputs(unit: Unit, params: Params, key: str) -> None:
    """Raise UserError unless a unit's inputs are still those of its work key."""
    if not all(path.exists() for path in unit.inputs.values()) or work_key(unit, params) != key:
        paths = ", ".join(map(str, unit.inputs.values()))
        raise _refusal(f"What {unit.address} reads ({paths}) was changed while it ran", unit)


def _refusal(what: str, unit: Unit) -> UserError:
    return UserError(
        f"{what}; so {unit.address} is not kept as what they make. Run the same command again: it goes by the files as "
        "they are then. To go on with the earlier ones, put those back first; checkpoints of theirs are kept."
    )
