"""Threads, device and precision, taken from params and from nothing else."""

import os

import torch

from hfi_core.errors import UserError
from hfi_core.params import Compute


def configure(compute: Compute) -> None:
    """Pin the thread count, ask for deterministic kernels, and have float32 be float32 on every GPU.

    Call it before anything is computed: cuBLAS reads its setting at a process's first product of matrices on a GPU.

    Raises UserError if the device is not there.
    """
    device = device_of(compute)
    torch.set_num_threads(compute.threads)
    # The backward of an indexed read adds in the order of threads otherwise; not every CUDA kernel has such a form.
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # Nothing here reads memory that it has not written; filling it first is a kernel more for every tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False
    # Without a workspace of its own for each stream, cuBLAS may add in another order each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # TF32 keeps 10 bits of a factor's 23; torch has it on for cuDNN's convolutions.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def device_of(compute: Compute) -> torch.device:
    """The device that params name."""
    device = torch.device(compute.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"The device is {compute.device!r} (compute.device in params.yaml, or HFI_DEVICE), but CUDA shows "
            f"{torch.cuda.device_count()} devices here: `HFI_DEVICE=cpu` computes without."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("The device is 'mps' (compute.device, or HFI_DEVICE), which is not available here; use 'cpu'.")
    return device


def dtype_of(compute: Compute) -> torch.dtype:
    """The precision of the frozen networks."""
    return getattr(torch, compute.dtype)
