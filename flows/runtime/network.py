"""A socket that listens where a command is told to, or a message that says how to mend it."""

import socket

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
