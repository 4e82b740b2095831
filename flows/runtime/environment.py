"""Defaults in the environment for the libraries around us: no telemetry, and no output between our own lines."""

import os


def configure_libraries() -> None:
    """Set the defaults that Prefect, MLflow and Ray read when they are imported; what the user has set stays."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        # What Ray will do about GPUs one day; its warning would stand among our lines.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # The user reads our lines; the server still gets every log record.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        # The first start of a temporary server creates its database, which takes a slow machine longer than 20 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        # It would print the server's address as params have it, a password in it included.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # A tracking server that is down would hold up every unit for minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(name, value)
