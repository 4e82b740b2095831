"""Turn out-of-memory errors into a message that says which params to lower. Does not import torch."""

from collections.abc import Iterator
from contextlib import contextmanager

from hfi_core.errors import UserError
from hfi_core.params import Compute

_GPU_ERROR = "OutOfMemoryError"
"""The name of torch's error class for a GPU."""
_CPU_TEXT = "DefaultCPUAllocator"
"""In the text of the plain RuntimeError that torch raises where a CPU's memory is full."""
_LIBRARY_TEXT = "_STATUS_ALLOC_FAILED"
"""In the text of the plain RuntimeError that torch raises where cuBLAS or cuDNN gets no memory."""


@contextmanager
def out_of_memory_as_user_error(compute: Compute) -> Iterator[None]:
    """Turn torch's out-of-memory errors into a UserError that says which params need less memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_about_memory(error):
            raise
        text = str(error) or type(error).__name__
        reason = ". ".join(text[max(text.find(_CPU_TEXT), 0) :].split(". ")[:3]).removesuffix(".")
        raise UserError(
            f"The memory of {compute.device!r} is full ({reason}). Finished work is kept.\n"
            f"  To fix this, in params.yaml: lower compute.block (now {compute.block}), or `batch` and `rollouts` of "
            "the part that is trained; `compute.checkpointing: true` trains in less memory, and the dtype bfloat16 "
            "halves the networks. Or end other processes that use this memory."
        ) from error


def _is_about_memory(error: Exception) -> bool:
    in_text = any(text in str(error) for text in (_CPU_TEXT, _LIBRARY_TEXT))
    return in_text or isinstance(error, MemoryError) or type(error).__name__ == _GPU_ERROR
