"""The checks of `hfi doctor --deep`: each connection that a project names is tried, for some seconds at most.

Nothing that others see stays behind: a probe object and a probe run are deleted again. No check migrates a store.
"""

from collections.abc import Iterator

from flows.connections import (
    addresses,
    dvc_remotes,
    feedback_database,
    git_remotes,
    prefect_server,
    s3,
    tracking_server,
)
from flows.finding import Finding
from hfi_core.params import Params


def connections(params: Params) -> Iterator[Finding]:
    """Try one connection after the other."""
    for part in (git_remotes, dvc_remotes, feedback_database, s3, tracking_server, prefect_server, addresses):
        yield from part.look(params)
