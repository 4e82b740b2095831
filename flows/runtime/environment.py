"""Set environment variables that libraries read: no telemetry, and no output of theirs between our lines."""

import os


def configure_libraries() -> None:
    """Set the variables that Prefect, MLflow and Ray read at import; a value that the user has set stays."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Else Ray prints a warning about its future handling of GPUs.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # The console shows only our lines; the server still gets every log record.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        # A temporary server first creates its database, which takes more than 20 s on a slow machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        # MLflow would print the server's address with any password in it.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # Else a tracking server that is down delays every unit by minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(name, value)
