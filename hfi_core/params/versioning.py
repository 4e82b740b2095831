"""What is recorded of the results of deployed runs."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from hfi_core.params.values import Frozen

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def _branch(name: str) -> str:
    if not _BRANCH.fullmatch(name) or ".." in name or any(part.endswith((".lock", ".")) for part in name.split("/")):
        raise ValueError("a branch's name is expected, such as hfi/results")
    return name


class Versioning(Frozen):
    """What a run of a deployment records in git and DVC when it ends; changes no result."""

    commit: Literal["none", "branch"]
    """`branch`: `dvc.lock` and the `.dvc` files that the graph reads are committed on `branch`; `none`: nothing is."""
    branch: Annotated[str, AfterValidator(_branch), StringConstraints(max_length=200)]
    """The branch of the records, the pipeline's own: nobody has it checked out, and nobody else commits to it."""
    push: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}$")] | None
    """DVC remote, by name, that the data goes to before the commit is made; null: the data stays here."""
