"""Tasks that talk to others over a network, tried again with growing pauses. Nothing else is: science that failed once
fails again, and a mistake stays one."""

from collections.abc import Callable, Iterator
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.task_engine import TaskRunTimeoutError
from prefect.tasks import exponential_backoff

RETRIES = 4
LONGEST = 6 * 3600.0
"""Seconds of one try: what hangs so long is not tried again, and the next run does it."""
_FIRST_PAUSE = 2.0
"""Seconds; each further pause is twice as long."""
_PASSING = {
    "builtins.ConnectionError", "builtins.TimeoutError",
    "requests.exceptions.ConnectionError", "requests.exceptions.Timeout", "requests.exceptions.RetryError",
    "httpx.TransportError", "botocore.exceptions.ConnectionError", "botocore.exceptions.HTTPClientError",
    "psycopg.OperationalError",
}  # fmt: skip
"""By name: whose library raised it is imported already."""


def is_passing(error: BaseException) -> bool:
    """Whether a network or a server at its other end is the cause, so that another try may succeed."""
    return any(f"{kind.__module__}.{kind.__name__}" in _PASSING for one in _causes(error) for kind in type(one).__mro__)


def network_task(function: Callable[..., Any], name: str, run_name: str) -> Task:
    """The task of a function that is safe to call again."""
    return Task(
        function,
        name=name,
        task_run_name=run_name,
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(_FIRST_PAUSE),
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_worth_a_try,
        timeout_seconds=LONGEST,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def _is_worth_a_try(task: Task, run: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and not isinstance(error, TaskRunTimeoutError) and is_passing(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
