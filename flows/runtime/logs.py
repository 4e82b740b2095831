"""Write structured logs: with `HFI_LOG=json`, one JSON object per line on standard error.

The lines come from `hfi` and from its libraries. A command's data (`hfi plan --json`) stays on standard output.
`JsonLineFormatter` describes the fields of a line.
"""

import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from hfi_core.errors import UserError
from hfi_core.secrets import hide_secrets

VARIABLE = "HFI_LOG"
FORMATS = ("text", "json")
RUN = "HFI_RUN_ID"
"""Variable with one id for the lines of several processes, such as `dvc repro` and its stages."""

_process_run_id = os.environ.get(RUN) or uuid.uuid4().hex
_logger = logging.getLogger("hfi")
_further_log: Callable[[int, str], None] | None = None
_fields: ContextVar[Mapping[str, Any]] = ContextVar("fields")


def configure_logging(log_format: str | None = None) -> None:
    """Set the format of this process's log and of its children's; by default the one in the environment.

    Raises UserError if the format is unknown.
    """
    log_format = log_format or os.environ.get(VARIABLE) or FORMATS[0]
    if log_format not in FORMATS:
        raise UserError(f"{VARIABLE}={log_format} is not a log format; set it to {' or '.join(FORMATS)}.")
    os.environ[VARIABLE] = log_format
    if not is_structured():
        return

    os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"  # its own handler would write text
    root = logging.getLogger()
    if any(isinstance(handler.formatter, JsonLineFormatter) for handler in root.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLineFormatter())
    root.handlers[:] = [handler]  # Prefect has set its own in a worker's process
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)
    logging.captureWarnings(True)


def is_structured() -> bool:
    """Return whether log lines are JSON."""
    return os.environ.get(VARIABLE) == "json"


def log(level: int, text: str, error: BaseException | None = None, **fields: Any) -> None:
    """Write a line to the log, with the traceback of `error` if there is one."""
    _logger.log(level, "%s", text, exc_info=error, extra={"fields": fields})


def connect_log(send: Callable[[int, str], None]) -> None:
    """Have `send_line` call this with the level and text of each line."""
    global _further_log
    _further_log = send


def send_line(level: int, text: str) -> None:
    """Send a line to the further log of this process, if `connect_log` named one, without passwords."""
    if _further_log is not None:
        _further_log(level, hide_secrets(text))


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Add these fields to every line that the block logs."""
    token = _fields.set({**current_fields(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_fields() -> Mapping[str, Any]:
    """Return the fields that `log_fields` adds now."""
    return _fields.get({})


def run_id() -> str:
    """Return the id that the lines of one run share; in a worker's process, the id of its flow run."""
    return os.environ.get("PREFECT__FLOW_RUN_ID") or _process_run_id


def uvicorn_options() -> Mapping[str, Any]:
    """Return the options with which uvicorn logs in the same format as `hfi`."""
    return {"log_config": None} if is_structured() else {}


class LoggedOutput:
    """File for a rich console that turns each print into one line of the log."""

    def __init__(self, level: int) -> None:
        self._level = level

    def write(self, text: str) -> int:
        """Log the text unless it is blank."""
        if text.strip():
            log(self._level, text.rstrip("\n"))
        return len(text)

    def flush(self) -> None:
        """Do nothing, because nothing is buffered."""


class JsonLineFormatter(JsonFormatter):
    """Formatter with time (UTC), level, logger, message and run of a record.

    Where they are known, it adds Prefect's flow run and task, the stage, its unit and progress, and the traceback.
    It leaves out other attributes that libraries add to records, because they may hold secrets.
    """

    def __init__(self) -> None:
        super().__init__(timestamp="time")

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a line in order, without passwords."""
        return {key: hide_secrets(value) if isinstance(value, str) else value for key, value in log_data.items()}

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill `log_data` from a record."""
        all_fields: dict[str, Any] = {}
        super().add_fields(all_fields, record, message_dict)
        fields = {
            "time": all_fields["time"],
            "level": record.levelname,
            "logger": record.name,
            "message": record.message,
            "run": run_id(),
            "flow_run": _flow_run(record),
            "task": getattr(record, "task_run_name", None),
            **current_fields(),
            **getattr(record, "fields", {}),
            "traceback": message_dict.get("exc_info"),
        }
        log_data |= {key: value for key, value in fields.items() if value is not None}


def _flow_run(record: logging.LogRecord) -> str | None:
    """Return Prefect's id of the flow run that a record belongs to."""
    runtime = sys.modules.get("prefect.runtime.flow_run")  # a process that runs a flow has imported it
    flow_run_id = getattr(record, "flow_run_id", None) or (runtime.get_id() if runtime else None)
    return str(flow_run_id) if flow_run_id else None
