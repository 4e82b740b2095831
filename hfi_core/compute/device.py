"""Configure threads, device and precision from params alone."""

import os

import torch

from hfi_core.errors import UserError
from hfi_core.params import Compute


def configure_torch(compute: Compute) -> None:
    """Set the number of threads, select deterministic kernels, and turn off TF32.

    Call it before any computation: cuBLAS reads its setting at a process's first matrix product on a GPU.

    Raises UserError if the device does not exist.
    """
    device = device_of(compute)
    torch.set_num_threads(compute.threads)
    # Else the backward pass of an indexed read adds in any order. Some CUDA kernels have no deterministic form.
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # Filling new memory costs one more kernel per tensor, and nothing here reads memory before it writes it.
    torch.utils.deterministic.fill_uninitialized_memory = False
    # Without its own workspace for each stream, cuBLAS may add in a different order each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # TF32 keeps 10 of the 23 bits of a factor's mantissa. By default torch uses it for cuDNN's convolutions.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def device_of(compute: Compute) -> torch.device:
    """Return the device that params name.

    Raises UserError if it does not exist.
    """
    device = torch.device(compute.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"The device is {compute.device!r} (compute.device in params.yaml, or HFI_DEVICE), but CUDA shows "
            f"{torch.cuda.device_count()} devices. To fix this: name another device, such as `HFI_DEVICE=cpu`."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError(
            "The device is 'mps' (compute.device in params.yaml, or HFI_DEVICE), which this machine does not have. "
            "To fix this: `HFI_DEVICE=cpu`."
        )
    return device


def dtype_of(compute: Compute) -> torch.dtype:
    """Return the precision of the frozen networks."""
    return getattr(torch, compute.dtype)


def has_instructions(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the device computes in this precision by instructions of its own.

    A processor without them needs six times as long as in float32, or longer.
    """
    if device.type != "cpu" or dtype == torch.float32:
        return True
    supported = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return bool(supported[dtype]())
