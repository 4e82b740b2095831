"""Sockets of this machine: whether a port is free, and whether an address is the loopback."""

import socket
from ipaddress import ip_address

from hfi_core.errors import UserError


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address; port 0 takes a free one.

    Raises UserError if that cannot be done.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, UnicodeError) as error:
        listening.close()
        raise UserError(
            f"{host}, port {port} cannot be listened at: {error}.\n"
            "  To mend it: end the other server, or choose another --port (0 takes a free one)."
        ) from error
    return listening


LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback that is free now."""
    with listen(LOOPBACK, 0) as free:
        return free.getsockname()[1]


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
