"""Name the present flow run after its plan, and show in its state that it waits for the project's lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Running

from flows.runtime.lock import project_lock, project_lock_if_free

_WAITING = "Waiting until another `hfi` command in this project ends."


@contextmanager
def project_lock_of_run() -> Iterator[None]:
    """Lock the project for the present flow run; while another process holds the lock, the run's state says so."""
    with project_lock_if_free() as held:
        if held:
            yield
            return
    _set_message(_WAITING)
    with project_lock():
        _set_message(None)
        yield


def rename_run(name: str) -> None:
    """Give the present flow run a name."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name)
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None, "a flow calls this"
    context.flow_run.name = name


def _set_message(message: str | None) -> None:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run.id).state
        if state is not None and state.is_running():  # it may be cancelling
            client.set_flow_run_state(flow_run.id, Running(message=message), force=True)
