"""Where a result comes from: the git revision, params and input files, as digests."""

from flows.versioning.git import asked
from hfi_core.io.atomic import sha256_of_json
from hfi_core.params import Params


def git_revision() -> tuple[str, bool]:
    """The commit that is checked out, and whether tracked files differ from it; `none` outside git."""
    revision = asked("rev-parse", "HEAD")
    if not revision:
        return "none", False
    return revision, bool(asked("status", "--porcelain", "--untracked-files=no"))


def params_digest(params: Params) -> str:
    """Digest of the whole of `params.yaml` by meaning."""
    return sha256_of_json(params.model_dump(mode="json"))


def pipeline_key(params: Params) -> str:
    """What ties together the runs of one pipeline: params and git revision."""
    return sha256_of_json([params_digest(params), git_revision()[0]])[:16]
