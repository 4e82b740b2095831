"""Call git and return its output."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hfi_core.errors import UserError


def git(
    *arguments: str,
    content: bytes | None = None,
    context: str = "",
    error_message: str = "",
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run git in a folder (by default the current one) and return its output without white space around it.

    Args:
        content: what git reads from standard input.
        context: what follows from a failure; the error adds it to git's own message.
        error_message: replaces git's own message.
        env: variables that are added to the environment.

    Raises UserError if git fails.
    """
    process = subprocess.run(
        ["git", *arguments], input=content, env=os.environ | (env or {}), cwd=folder, capture_output=True, check=False
    )
    if process.returncode != 0:
        stderr = process.stderr.decode(errors="replace").strip()
        raise UserError(error_message or f"`git {arguments[0]}` failed{context and f', {context}'}: {stderr}")
    return process.stdout.decode().strip()


def try_git(*arguments: str, folder: Path | None = None) -> str | None:
    """Run git and return its output, or None if it fails."""
    try:
        return git(*arguments, folder=folder)
    except UserError:
        return None


def git_revision() -> tuple[str, bool]:
    """Return the commit that is checked out (`none` outside git), and whether tracked files differ from it."""
    revision = try_git("rev-parse", "HEAD")
    if not revision:
        return "none", False
    return revision, bool(try_git("status", "--porcelain", "--untracked-files=no"))
