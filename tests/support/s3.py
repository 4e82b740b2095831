"""A real S3-compatible server that lives as long as a block, and the environment of who uses it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
"""What this machine may say of AWS, and tests must not hear."""


@contextmanager
def s3_server() -> Iterator[int]:
    """The port of a running server."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


def credentials_in(folder: Path) -> dict[str, str]:
    """Environment with credentials, and with none of this machine's own; `folder` has no such files."""
    return {
        "AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
    }  # fmt: skip
