"""Structured logs: with `HFI_LOG=json` what `hfi` and its libraries say is one JSON object a line on standard error.

A command's data (`hfi plan --json`) stays on standard output. `JsonLines` says what a line holds.
"""

import logging
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from hfi_core.errors import UserError
from hfi_core.secrets import redacted

VARIABLE = "HFI_LOG"
FORMS = ("text", "json")
RUN = "HFI_RUN_ID"
"""An id for the lines of several processes (`dvc repro` and its stages, say); else each process has one of its own."""

_own = os.environ.get(RUN) or uuid.uuid4().hex
_logger = logging.getLogger("hfi")
_about: ContextVar[Mapping[str, Any]] = ContextVar("about")


def configure_logging(form: str | None = None) -> None:
    """Write as `form` says, or else as the environment does; what is started from here does the same.

    Raises UserError for an unknown form.
    """
    form = form or os.environ.get(VARIABLE) or FORMS[0]
    if form not in FORMS:
        raise UserError(f"{VARIABLE}={form} is no form of log; write {' or '.join(FORMS)}.")
    os.environ[VARIABLE] = form
    if not structured():
        return

    os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"  # its own handler would write text
    root = logging.getLogger()
    if any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root.handlers[:] = [handler]  # in a worker's process Prefect's own is there already
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)
    logging.captureWarnings(True)


def structured() -> bool:
    """Whether lines are JSON."""
    return os.environ.get(VARIABLE) == "json"


def log(level: int, text: str, error: BaseException | None = None, **fields: Any) -> None:
    """Write a line; `error` adds its traceback."""
    _logger.log(level, "%s", text, exc_info=error, extra={"fields": fields})


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Give these fields to every line of the block."""
    token = _about.set({**context(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def context() -> Mapping[str, Any]:
    """The fields that `log_fields` gives to lines now."""
    return _about.get({})


def run_id() -> str:
    """The id that ties the lines of one run together; a worker's process has that of its flow run."""
    return os.environ.get("PREFECT__FLOW_RUN_ID") or _own


def for_uvicorn() -> Mapping[str, Any]:
    """Settings under which uvicorn's lines are written as all others."""
    return {"log_config": None} if structured() else {}


class LoggedOutput:
    """A file for a rich console: each thing that is printed becomes one line of the log."""

    def __init__(self, level: int) -> None:
        self._level = level

    def write(self, text: str) -> int:
        """Log what is not blank."""
        if text.strip():
            log(self._level, text.rstrip("\n"))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


class JsonLines(JsonFormatter):
    """Time (UTC), level, logger, message and run of a record; where they are known, the flow run and task of Prefect,
    the stage, its unit and how far it is, and the traceback.

    Other attributes that libraries give to their records are left out: nobody has looked what they hold.
    """

    def __init__(self) -> None:
        super().__init__(timestamp="time")

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The line's fields, in order."""
        return {key: redacted(value) if isinstance(value, str) else value for key, value in log_data.items()}

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill `log_data`."""
        whole: dict[str, Any] = {}
        super().add_fields(whole, record, message_dict)
        found = {
            "time": whole["time"],
            "level": record.levelname,
            "logger": record.name,
            "message": record.message,
            "run": run_id(),
            "flow_run": _flow_run(record),
            "task": getattr(record, "task_run_name", None),
            **context(),
            **getattr(record, "fields", {}),
            "traceback": message_dict.get("exc_info"),
        }
        log_data |= {key: value for key, value in found.items() if value is not None}


def _flow_run(record: logging.LogRecord) -> str | None:
    """Prefect's id of the flow run that a record belongs to."""
    runtime = sys.modules.get("prefect.runtime.flow_run")  # who has not imported it runs no flow
    found = getattr(record, "flow_run_id", None) or (runtime.get_id() if runtime else None)
    return str(found) if found else None
