"""What a line of the structured log holds. Secrets are taken out of each."""

import logging
import sys
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from flows.runtime import logs
from hfi_core.redaction import redacted


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
            "run": logs.run_id(),
            "flow_run": _flow_run(record),
            "task": getattr(record, "task_run_name", None),
            **logs.context(),
            **getattr(record, "fields", {}),
            "traceback": message_dict.get("exc_info"),
        }
        log_data |= {key: value for key, value in found.items() if value is not None}


def _flow_run(record: logging.LogRecord) -> str | None:
    """Prefect's id of the flow run that a record belongs to."""
    runtime = sys.modules.get("prefect.runtime.flow_run")  # who has not imported it runs no flow
    found = getattr(record, "flow_run_id", None) or (runtime.get_id() if runtime else None)
    return str(found) if found else None
