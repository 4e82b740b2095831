"""Have MLflow's client give up soon: by default it tries for minutes to reach a server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def short_timeouts(seconds: float, retries: int = 0) -> Iterator[None]:
    """Give each request of a block so many seconds and retries."""
    values = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": f"{seconds:.0f}",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
