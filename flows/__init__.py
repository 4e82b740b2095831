"""Command line, Prefect flows, and the connections to DVC, MLflow and S3, around `hfi_core`.

Importing any module of this package first sets the defaults of these libraries.
"""

from flows.runtime.environment import configure_libraries

configure_libraries()
