"""The checks of `hfi doctor --deep`: each connection that a project names is tried, with a time limit.

Nothing that others see stays behind: a probe object and a probe run are deleted. No check migrates a store.
"""

from collections.abc import Iterator

from flows.doctor import annotation, database, dvc, git, mlflow, prefect, s3
from flows.doctor.check import Finding
from hfi_core.params import Params


def connections(params: Params) -> Iterator[Finding]:
    """Yield the findings on one connection after the other."""
    for module in (git, dvc, database, s3, mlflow, prefect, annotation):
        yield from module.check(params)
