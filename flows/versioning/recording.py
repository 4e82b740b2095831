"""The record of a deployed run: the data to DVC's remote first, then the commit that points at it.

The commit holds params.yaml and dvc.yaml as they were for the run, too, committed by people or not: without them a
clone would know neither the rows nor the concepts whose data `dvc.lock` names.

Whoever finds a record finds its data. A run that dies between the two leaves data that nobody points at, and the next
run makes the commit.
"""

from dataclasses import dataclass
from pathlib import Path

from flows.orchestration.plan import PARAMS
from flows.versioning.dvc_yaml import DVC_YAML
from flows.versioning.pointers import LOCK, pointer_files
from flows.versioning.repo import push
from flows.versioning.results_branch import commit_record, require_free, uncommitted
from hfi_core.errors import UserError
from hfi_core.io.atomic import sha256_of_file
from hfi_core.params import Params
from hfi_core.pipeline.graph import units_of
from hfi_core.secrets import without_passwords


@dataclass(frozen=True)
class Record:
    """What became of a record."""

    branch: str
    commit: str | None
    """None where the branch held this state already."""
    remote: str | None

    def __str__(self) -> str:
        data = f"data in {self.remote!r}" if self.remote else "data only here"
        return f"{self.branch}: {self.commit[:12] if self.commit else 'holds this state'}; {data}"


def require_recordable(params: Params) -> None:
    """Raise UserError, before anything runs, where params ask for a record that could not be made."""
    if params.versioning.commit == "branch":
        require_free(params.versioning.branch)
        _require_no_password()


def record_results(params: Params, run: str) -> Record | None:
    """Record the state that lies here, under the project's lock; None where params ask for no record.

    `run` names the flow run. Raises UserError if the branch is not free, params hold a password, or data does not reach
    the remote: then nothing is committed.
    """
    wanted = params.versioning
    if wanted.commit == "none" or not LOCK.exists():
        return None
    require_recordable(params)
    if wanted.push:
        missing = push(wanted.push)
        if missing:
            raise UserError(
                f"{len(missing)} of what dvc.lock names did not reach the DVC remote {wanted.push!r} "
                f"({', '.join(sorted(missing)[:3])}), so nothing was committed. `dvc status --cloud --remote "
                f"{wanted.push}` shows it."
            )
    paths = [PARAMS, DVC_YAML, *pointer_files(units_of(params))]
    told = {"Hfi-Run": run, "Hfi-Data": wanted.push or "not pushed"}
    feedback = Path(params.feedback.file)
    if feedback.exists():
        told["Hfi-Feedback"] = sha256_of_file(feedback)
    if changed := uncommitted(str(PARAMS), str(DVC_YAML)):
        told["Hfi-Uncommitted"] = ", ".join(changed)
    subject = f"Record results of {params.tracking.experiment}"
    commit = commit_record(wanted.branch, {path: path.read_bytes() for path in paths}, subject, told)
    return Record(wanted.branch, commit, wanted.push)


def _require_no_password() -> None:
    text = PARAMS.read_text(encoding="utf-8")
    if without_passwords(text) != text:
        raise UserError(
            f"{PARAMS} holds a password, and a record would put it into git for good: take it out. Addresses "
            "need none: ~/.pgpass, PGPASSWORD and MLFLOW_TRACKING_PASSWORD are read."
        )
