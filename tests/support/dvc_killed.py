"""Commands that are killed with -9, or run out of space, in the middle of writing `dvc.lock`."""

import io
import os
import signal
import sys

from dvc.utils.serialize import _yaml


def cut_dumps(share: float, code: int | None = None) -> None:
    """Have the next dump end after a share of its bytes: with SIGKILL, or with an OSError of this number."""
    whole = _yaml._dump

    def dump(data, stream) -> None:
        text = io.StringIO()
        whole(data, text)
        stream.write(text.getvalue()[: round(share * len(text.getvalue()))])
        stream.flush()
        if code is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(code, os.strerror(code), stream.name)

    _yaml._dump = dump


def main() -> None:
    """Run `dvc` or `hfi`, cut at a share of the dump with the number that the first argument says."""
    number, share, command, *arguments = sys.argv[1:]
    whole, count = _yaml._dump, 0

    def dump(data, stream) -> None:
        nonlocal count
        count += 1
        if count == int(number):
            _yaml._dump = whole
            cut_dumps(float(share))
            _yaml._dump(data, stream)
        whole(data, stream)

    _yaml._dump = dump
    if command == "hfi":
        from flows.cli.main import main as hfi

        sys.argv = [command, *arguments]
        hfi()
    from dvc.cli import main as dvc

    sys.exit(dvc(arguments))


if __name__ == "__main__":
    main()
