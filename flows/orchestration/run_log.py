"""Send the lines of `hfi` to the log of the flow run that prints them, in Prefect's UI."""

import logging

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging.handlers import APILogHandler

from flows.runtime import logs


def connect() -> None:
    """Have each line and warning of this process sent to the log of its flow run, if a flow runs."""
    logs.connect_log(_send)


def _send(level: int, text: str) -> None:
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    # To the server only: Prefect's loggers would print the line on the terminal a second time.
    APILogHandler().handle(logging.LogRecord("hfi", level, "", 0, text, None, None))
