"""Prefect's temporary server, out of the reach of Ctrl-C."""

import signal
from threading import Thread

from flows.environment import settle


def start() -> None:
    """Start the server that a flow needs where none is configured; it ends with this process.

    A terminal sends Ctrl-C to the whole process group. The server must outlive it, or the flow could not be ended in
    order; so it is started with that signal blocked, which only the starting thread and its children are.
    """
    settle()
    from prefect.client.orchestration import get_client

    failures: list[Exception] = []

    def shielded() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with get_client(sync_client=True):
                pass
        except Exception as error:  # a thread cannot raise to the one that waits for it
            failures.append(error)

    thread = Thread(target=shielded, daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
