"""Asks git, in the current folder."""

import os
import subprocess

from hfi_core.errors import UserError


def git(*arguments: str, content: bytes | None = None, otherwise: str = "", so: str = "", **environment: str) -> str:
    """What git says, without white space around it.

    Raises UserError where it fails: `otherwise`, or else git's own words and what follows from that (`so`).
    """
    done = subprocess.run(
        ["git", *arguments], input=content, env=os.environ | environment, capture_output=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise UserError(otherwise or f"`git {arguments[0]}` failed{so and f', {so}'}: {said}")
    return done.stdout.decode().strip()


def try_git(*arguments: str) -> str | None:
    """What git says, or None where it says no."""
    try:
        return git(*arguments)
    except UserError:
        return None


def git_revision() -> tuple[str, bool]:
    """The commit that is checked out, and whether tracked files differ from it; `none` outside git."""
    revision = try_git("rev-parse", "HEAD")
    if not revision:
        return "none", False
    return revision, bool(try_git("status", "--porcelain", "--untracked-files=no"))
