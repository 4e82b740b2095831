"""Memory that does not suffice, told as what to change; torch need not be there to know its error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from hfi_core.errors import UserError
from hfi_core.params import Compute, Params

_OF_A_GPU = "OutOfMemoryError"
"""The name of torch's error."""
_OF_A_PROCESSOR = "DefaultCPUAllocator"
"""Who speaks where a processor's memory runs out: torch raises a bare RuntimeError then."""
_OF_A_LIBRARY = "_STATUS_ALLOC_FAILED"
"""What cuBLAS and cuDNN say where none is left for them, in a bare RuntimeError, too."""


@contextmanager
def out_of_memory_as_user_error(compute: Compute) -> Iterator[None]:
    """Turn what torch raises where the device's memory runs out into a UserError that says what takes less."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_about_memory(error):
            raise
        text = str(error) or type(error).__name__
        said = ". ".join(text[max(text.find(_OF_A_PROCESSOR), 0) :].split(". ")[:3]).removesuffix(".")
        raise UserError(
            f"The memory of {compute.device!r} did not suffice ({said}). What was finished is kept. In params.yaml, "
            f"lower compute.block ({compute.block} now), or the `batch` and `rollouts` of what learns; "
            "`compute.checkpointing: true` lets it learn in less memory, and the dtype bfloat16 halves the networks. "
            "Or free what other processes hold there."
        ) from error


def _is_about_memory(error: Exception) -> bool:
    bare = any(words in str(error) for words in (_OF_A_PROCESSOR, _OF_A_LIBRARY))
    return bare or isinstance(error, MemoryError) or type(error).__name__ == _OF_A_GPU


def with_memory_errors_explained(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of params and more, with `out_of_memory_as_user_error` around each call."""

    @wraps(function)
    def named(params: Params, *arguments: Any, **options: Any) -> Any:
        with out_of_memory_as_user_error(params.compute):
            return function(params, *arguments, **options)

    return named
