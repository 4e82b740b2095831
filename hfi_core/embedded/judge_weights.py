"""The judges' weights lie in half precision and are computed with in single."""

from pathlib import Path

from hfi_core.embedded.networks import JudgeNetwork
from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors

WEIGHTS = "model.safetensors"


def load_judge_network(folder: Path) -> JudgeNetwork:
    """One of the world's judges, frozen, in float32.

    Raises UserError if the weights are missing, torn, or not a judge's.
    """
    tensors, _ = load_tensors(folder / WEIGHTS)
    network = JudgeNetwork()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS} does not fit a judge of the embedded world: {str(error)[:300]}") from error
    return network.eval().requires_grad_(False)
