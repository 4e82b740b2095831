"""Where a result comes from: the git revision, params and input files, as digests."""

import subprocess

from hfi_core.files import sha256_of_json
from hfi_core.params import Params


def git_revision() -> tuple[str, bool]:
    """The commit that is checked out, and whether tracked files differ from it; `none` outside git."""
    revision = git_output("rev-parse", "HEAD").strip()
    if not revision:
        return "none", False
    return revision, bool(git_output("status", "--porcelain", "--untracked-files=no").strip())


def git_output(*arguments: str) -> str:
    """What a git command says; nothing where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def params_digest(params: Params) -> str:
    """Digest of the whole of `params.yaml` by meaning."""
    return sha256_of_json(params.model_dump(mode="json"))


def pipeline_key(params: Params) -> str:
    """What ties together the runs of one pipeline: params and git revision."""
    return sha256_of_json([params_digest(params), git_revision()[0]])[:16]
