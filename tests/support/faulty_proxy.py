"""An HTTP proxy before the S3 server that breaks what a test names, as networks and busy servers do."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Kind = Literal["busy", "cut", "lost", "torn", "stalled"]
"""busy: 503. cut: ends while the request is read. lost: done, but the answer never comes. torn: half of the answer.
stalled: silence."""

_HOP = {"connection", "transfer-encoding", "keep-alive"}
_BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class Fault:
    """What happens to the next requests of a method whose address holds some text."""

    kind: Kind
    method: str
    address: str = ""
    left: int = 1


@dataclass
class Proxy:
    """The proxy's address, its faults, and what it has seen."""

    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """`METHOD /path?query` of every request, whether it was broken or not."""
    met: list[Kind] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def breaks(self, kind: Kind, method: str, address: str = "", times: int = 1) -> None:
        """Break the next requests that fit."""
        self.faults.append(Fault(kind, method, address, times))

    def count(self, method: str, address: str = "") -> int:
        """Requests so far that fit."""
        return sum(line.startswith(f"{method} ") and address in line for line in self.seen)

    def next_fault(self, method: str, address: str) -> Kind | None:
        """Take note of a request; what is to happen to it."""
        with self.lock:
            self.seen.append(f"{method} {address}")
            for fault in self.faults:
                if fault.left and fault.method == method and fault.address in address:
                    fault.left -= 1
                    self.met.append(fault.kind)
                    return fault.kind
            return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    behind: tuple[str, int]
    stall_seconds: float

    def _serve(self) -> None:
        fault = self.proxy.next_fault(self.command, self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length // 2 if fault == "cut" else length)
        if fault == "cut":
            self._end()
        elif fault == "stalled":
            time.sleep(self.stall_seconds)
            self._end()
        elif fault == "busy":
            self._answer(503, [("Content-Type", "application/xml")], _BUSY)
        else:
            self._forward(body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _forward(self, body: bytes, fault: Kind | None) -> None:
        connection = http.client.HTTPConnection(*self.behind, timeout=30)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in {*_HOP, "expect"}}
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if fault == "lost":
            self._end()
            return
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
        if fault == "torn":
            self._answer(answer.status, headers, content, shown=len(content) // 2)
            self._end()
        else:
            self._answer(answer.status, headers, content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, shown: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:shown])

    def _end(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def proxy_before(port: int, stall_seconds: float) -> Iterator[Proxy]:
    """A proxy before the server at a port of this machine."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    Handler.proxy, Handler.behind, Handler.stall_seconds = proxy, ("127.0.0.1", port), stall_seconds
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
