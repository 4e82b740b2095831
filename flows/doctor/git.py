"""Check git's remotes. No command of `hfi` needs one, so a failure is a note."""

import os
import subprocess
from collections.abc import Iterator

from flows.doctor.check import Finding, with_timeout
from hfi_core.params import Params
from hfi_core.secrets import hide_secrets

_TIMEOUT = 10
"""Seconds."""
_NO_PROMPT = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": f"ssh -o BatchMode=yes -o ConnectTimeout={_TIMEOUT}"}


def check(params: Params) -> Iterator[Finding]:
    """Yield a finding for each remote."""
    for name in _git("remote").stdout.split():
        yield from with_timeout(
            f"git remote {name}", _remedy(name), lambda name=name: _check_remote(name), needed=False
        )


def _check_remote(name: str) -> Iterator[Finding]:
    try:
        done = _git("ls-remote", "--heads", name)
    except subprocess.TimeoutExpired:
        yield Finding(f"git remote {name}", False, f"no answer in {_TIMEOUT} s", _remedy(name), needed=False)
        return
    if done.returncode == 0:
        yield Finding(f"git remote {name}", True, f"answers, {len(done.stdout.splitlines())} branches")
        return
    address = _git("remote", "get-url", name).stdout.strip()  # it may hold a token without a colon before it
    error = (done.stderr.strip().splitlines() or ["no answer"])[0].replace(address, name)
    yield Finding(f"git remote {name}", False, hide_secrets(error), _remedy(name), needed=False)


def _remedy(name: str) -> str:
    return f"`git ls-remote {name}` shows more; `git remote set-url {name} URL` corrects the address."


def _git(*arguments: str) -> subprocess.CompletedProcess:
    environment = _NO_PROMPT | dict(os.environ)
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, timeout=_TIMEOUT, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
