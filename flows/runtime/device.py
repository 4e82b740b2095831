"""The device of this machine, where it is another than the project's: `HFI_DEVICE` in the environment.

`params.yaml` is the project's, and DVC watches it: machines that share a project say here what they have. It changes
where a unit is computed, and neither its params in `dvc.lock` nor whether it is up to date.
"""

import os

from pydantic import ValidationError

from hfi_core.errors import UserError
from hfi_core.params import Compute, Params

VARIABLE = "HFI_DEVICE"


def with_local_device(params: Params) -> Params:
    """The params with which this machine computes.

    Raises UserError if the variable names no device.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return params
    try:
        compute = Compute.model_validate(params.compute.model_dump() | {"device": named})
    except ValidationError as error:
        raise UserError(f"{VARIABLE}={named} is no device: write cpu, cuda, cuda:1 or mps, or unset it.") from error
    return params.model_copy(update={"compute": compute})
