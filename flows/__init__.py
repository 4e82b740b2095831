"""The plumbing around `hfi_core`: the command line, the Prefect flows, DVC, MLflow.

Importing any module of this package sets the defaults of the libraries around us first.
"""

from flows.runtime.environment import configure_libraries

configure_libraries()
