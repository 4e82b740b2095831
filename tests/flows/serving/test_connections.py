"""Clients that send nothing, or half of something, are disconnected, and shut nobody out."""

import logging
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from flows.runtime.network import listen
from flows.serving.connections import LimitedListener, Limits, make_protocol
from tests.support.waiting import wait_until

QUICK = Limits(connections=8, request_seconds=1.0, response_seconds=1.0, report_seconds=0.2)
HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def answer(request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("x" * int(request.query_params.get("size", 1)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


@contextmanager
def running(limits: Limits, **options) -> Iterator[int]:
    """Serve in a thread, and yield the port."""
    listener = LimitedListener(listen("127.0.0.1", 0), limits)
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    config = uvicorn.Config(
        app, http=make_protocol(listener), loop="asyncio", ws="none", log_config=None, lifespan="off", **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)
        assert not thread.is_alive()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(sent)
    return client


def is_served(client: socket.socket) -> bool:
    """Whether the server, which is in this process, holds the other end of a connection."""
    return any(one.raddr == client.getsockname() for one in psutil.Process().net_connections("tcp4"))


def seconds_until_closed(client: socket.socket) -> float:
    start = time.monotonic()
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - start


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"G", b"GET / HT", HEAD, HEAD + b"Content-Length: 9\r\n\r\nhalf", b"GET / HTTP/1.1\r\nX: " + b"x" * 999,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HT",  # a whole request, then half of one: uvicorn waits 5 s
    ],
)  # fmt: skip
def test_half_of_a_request_is_not_waited_for_for_ever(sent):
    with running(QUICK) as port:
        assert 0.5 < seconds_until_closed(connect(port, sent)) < 9


def test_a_request_that_comes_byte_by_byte_has_no_more_time():
    with running(QUICK) as port:
        client, start = connect(port, HEAD), time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011
            while time.monotonic() - start < 6:
                client.sendall(b"X: y\r\n")
                time.sleep(0.1)
        assert time.monotonic() - start < 5.5


def test_a_handshake_that_does_not_go_on_ends(certificate):
    chain, key = certificate
    with running(QUICK, ssl_certfile=chain, ssl_keyfile=key) as port:
        for sent in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
            assert seconds_until_closed(connect(port, sent)) < 9
        trusting = ssl.create_default_context(cafile=chain)
        trusting.check_hostname = False
        half = trusting.wrap_socket(connect(port))
        half.sendall(HEAD)
        assert 0.5 < seconds_until_closed(half) < 9
        assert httpx.get(f"https://127.0.0.1:{port}/", verify=trusting).text == "x"


def test_a_client_that_does_not_read_the_response_is_disconnected():
    with running(QUICK) as port:
        client = connect(port)
        client.sendall(b"GET /?size=50000000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_until(lambda: is_served(client))
        wait_until(lambda: not is_served(client))
        read = 0
        with pytest.raises(ConnectionError):
            while chunk := client.recv(65536):
                read += len(chunk)
            raise ConnectionResetError
        assert read < 50_000_000


def test_silent_connections_keep_no_visitor_out_and_are_logged_in_one_line(caplog, monkeypatch):
    log = logging.getLogger("uvicorn.error")  # servers of other tests in this process configure it
    for name, value in {"handlers": [caplog.handler], "propagate": False, "disabled": False}.items():
        monkeypatch.setattr(log, name, value)
    slow = Limits(connections=8, request_seconds=30, report_seconds=2)
    with caplog.at_level(logging.WARNING, logger=log.name), running(slow) as port:
        silent = [connect(port, sent) for sent in (b"", HEAD) * 20]
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=5).text == "x"
        wait_until(lambda: bool(caplog.records))
        open_ones = 0
        for client in silent:
            client.settimeout(0.05)
            try:
                assert client.recv(1) == b""
            except TimeoutError:
                open_ones += 1
            except ConnectionError:
                pass
        assert open_ones <= 8
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and "to make room for others (limit: 8)" in lines[0]
    assert not any(record.exc_info for record in caplog.records)


def test_a_visitor_who_keeps_a_connection_is_served_again_on_it():
    with running(QUICK) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert client.get("/").text == "x"
            time.sleep(0.6)
        assert client.post("/", content=b"y" * 300_000).text == "x"


def test_the_limit_leaves_file_descriptors_for_everything_else():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with LimitedListener(listen("127.0.0.1", 0), Limits(connections=10**9)) as listener:
        assert listener._max_connections == soft // 2
