"""Compute on this machine's own device: `HFI_DEVICE` in the environment overrides `compute.device`.

Machines that share a project also share its `params.yaml`, which DVC tracks. The variable changes where a unit is
computed. It changes neither the unit's params in `dvc.lock` nor whether the unit is up to date.
"""

import os

from pydantic import ValidationError

from hfi_core.errors import UserError
from hfi_core.params import Compute, Params

VARIABLE = "HFI_DEVICE"


def with_local_device(params: Params) -> Params:
    """Return the params with the device of this machine.

    Raises UserError if `HFI_DEVICE` is not a device.
    """
    device = os.environ.get(VARIABLE)
    if not device:
        return params
    try:
        compute = Compute.model_validate(params.compute.model_dump() | {"device": device})
    except ValidationError as error:
        raise UserError(
            f"{VARIABLE}={device} is not a device: set it to cpu, cuda, cuda:1 or mps, or unset it."
        ) from error
    return params.model_copy(update={"compute": compute})
