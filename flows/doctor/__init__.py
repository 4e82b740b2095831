"""The checks of `hfi doctor --deep`: each connection that a project names is tried, for some seconds at most.

Nothing that others see stays behind: a probe object and a probe run are deleted again. No check migrates a store.
"""

from collections.abc import Iterator

from flows.doctor import annotation, database, dvc, git, mlflow, prefect, s3
from flows.doctor.check import Finding
from hfi_core.params import Params


def connections(params: Params) -> Iterator[Finding]:
    """Try one connection after the other."""
    for part in (git, dvc, database, s3, mlflow, prefect, annotation):
        yield from part.check(params)
