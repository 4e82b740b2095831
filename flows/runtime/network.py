"""Listen on a port, find a free one, and recognise loopback addresses."""

import socket
from ipaddress import ip_address

from hfi_core.errors import UserError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes a free port.

    Raises UserError if the port is in use or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        raise UserError(
            f"Cannot listen on {host}, port {port}: {error}.\n"
            "  To fix this: stop the other server, or choose another --port (0 takes a free one)."
        ) from error
    return listener


LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback interface that is free now."""
    with listen(LOOPBACK, 0) as free:
        return free.getsockname()[1]


def is_loopback(host: str) -> bool:
    """Return whether a host name or address (an IPv6 one in brackets, too) is this machine's loopback."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
