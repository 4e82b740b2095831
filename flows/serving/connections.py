"""Limit how many connections the annotation server holds, and how long each may take to send a request.

uvicorn has no such limits: a client that connects and sends nothing, or half of a request, keeps its connection for
ever. When no file descriptor is left, asyncio cannot accept anybody, and logs a traceback for each try.
"""

import asyncio
import errno
import logging
import resource
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_log = logging.getLogger("uvicorn.error")

_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Phase = Literal["reading", "answering", "sending", "idle"]
"""`reading`: until a request is complete, the TLS handshake included. `answering`: until the application has made the
response. `sending`: while the client has not read it. `idle`: between two requests."""


@dataclass(frozen=True)
class Limits:
    """Limits of the connections."""

    connections: int = 512
    request_seconds: float = 20.0
    """Time for the TLS handshake and a whole request. The page's script gives up after 15 seconds."""
    response_seconds: float = 120.0
    """Time for a response: the largest picture over a slow line."""
    report_seconds: float = 30.0
    """Closed connections are counted for so long, and reported in one line."""


@dataclass(eq=False)
class _Connection:
    """An open connection. Until its TLS handshake is complete it has no transport."""

    socket: socket.socket
    transport: asyncio.Transport | None = None
    phase: Phase = "reading"
    deadline: asyncio.TimerHandle | None = field(default=None)

    def close(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.abort()
        elif self.socket.fileno() != -1:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # asyncio then closes it


class LimitedListener(socket.socket):
    """A listening socket with a limited number of open connections.

    When the limit is reached, a new connection takes the place of the one that has waited longest for its request. So
    clients that send nothing cannot shut visitors out.
    """

    def __init__(self, listener: socket.socket, limits: Limits | None = None):
        super().__init__(listener.family, listener.type, listener.proto, fileno=listener.detach())
        limits = limits or Limits()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limits = limits
        # The rest of the file descriptors is for databases and pictures.
        self._max_connections = max(8, min(limits.connections, soft // 2))
        self._connections: dict[int, _Connection] = {}
        self._late = self._displaced = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Accept a connection, as asyncio's event loop asks for it. Raises BlockingIOError if there is none."""
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno not in _NO_RESOURCES:
                raise
            self._displace()
            raise BlockingIOError from error
        self._connections = {fd: known for fd, known in self._connections.items() if known.socket.fileno() == fd}
        if len(self._connections) >= self._max_connections and not self._displace():
            accepted.close()
            raise BlockingIOError
        connection = _Connection(accepted)
        self._connections[accepted.fileno()] = connection
        self._start_phase(connection, "reading")
        return accepted, address

    def find(self, transport: asyncio.Transport) -> "_Connection | None":
        """Return the connection of a transport."""
        connection = self._connections.get(transport.get_extra_info("socket").fileno())
        if connection is not None:
            connection.transport = transport
        return connection

    def enter_phase(self, connection: _Connection, phase: Phase) -> None:
        """Start the time limit of a phase, unless the connection is in this phase already."""
        if phase != connection.phase:
            self._start_phase(connection, phase)

    def end(self, connection: _Connection) -> None:
        """Forget a connection that was closed."""
        if connection.deadline is not None:
            connection.deadline.cancel()
        for fd in [fd for fd, known in self._connections.items() if known is connection]:
            del self._connections[fd]

    def _start_phase(self, connection: _Connection, phase: Phase) -> None:
        if connection.deadline is not None:
            connection.deadline.cancel()
        connection.phase, connection.deadline = phase, None
        if phase != "idle":  # uvicorn closes idle connections itself
            seconds = self._limits.request_seconds if phase == "reading" else self._limits.response_seconds
            connection.deadline = asyncio.get_running_loop().call_later(seconds, self._close_late, connection)

    def _close_late(self, connection: _Connection) -> None:
        if connection.socket.fileno() != -1:
            connection.close()
            self._count(late=1)

    def _displace(self) -> bool:
        """Close the oldest connection that waits for no answer of ours, and return whether there was one."""
        oldest = next((known for known in self._connections.values() if known.phase != "answering"), None)
        if oldest is not None:
            oldest.close()
            self.end(oldest)
        self._count(displaced=1)
        return oldest is not None

    def _count(self, late: int = 0, displaced: int = 0) -> None:
        if not self._late and not self._displaced:
            asyncio.get_running_loop().call_later(self._limits.report_seconds, self._report)
        self._late, self._displaced = self._late + late, self._displaced + displaced

    def _report(self) -> None:
        _log.warning(
            "Closed connections: %d that sent no complete request in %g seconds (or did not read the response in %g), "
            "%d to make room for others (limit: %d).",
            self._late, self._limits.request_seconds, self._limits.response_seconds, self._displaced,
            self._max_connections,
        )  # fmt: skip
        self._late = self._displaced = 0


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which tells the listener in what phase its connection is."""

    listener: LimitedListener
    _connection: _Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find the connection of the transport."""
        stream = cast(asyncio.Transport, transport)
        super().connection_made(stream)
        self._connection = self.listener.find(stream)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection's time limits."""
        super().connection_lost(exc)
        if self._connection is not None:
            self.listener.end(self._connection)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        super().data_received(data)
        self._update_phase("reading")

    def on_response_complete(self) -> None:
        """Wait for the next request of the connection."""
        super().on_response_complete()
        self._update_phase("sending" if self.transport.get_write_buffer_size() else "idle")

    def _update_phase(self, before_request: Phase) -> None:
        if self._connection is None or self.transport.is_closing():
            return
        phases: dict[object, Phase] = {h11.IDLE: before_request, h11.SEND_BODY: "reading"}
        self.listener.enter_phase(self._connection, phases.get(self.conn.their_state, "answering"))

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the application refuses the request."""


def make_protocol(listener: LimitedListener) -> type[LimitedProtocol]:
    """Return the protocol class for uvicorn's option `http`."""
    return type("LimitedProtocol", (LimitedProtocol,), {"listener": listener})
