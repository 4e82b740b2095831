"""The plumbing around `hfi_core`: the command line, the Prefect flow, DVC, MLflow."""
