"""A deployment is started once for each amount of new feedback, and not while a run of it is under way."""

import pytest

from hfi_core.feedback.schema import BinaryJudgement
from hfi_core.feedback.store import open_store
from tests.support.deployment import Deployed, deploy, withdraw

_STARTED = "started for new feedback: "


@pytest.fixture
def deployed(fake_project, server, quick):
    """A project whose judgements come from the store, deployed; nobody works on its runs."""
    file = "data/feedback/people.jsonl"
    fake_project.edit(feedback__file=file, feedback__simulated={}, feedback__store=True)
    fake_project.hfi("params", "sync")
    deploy(fake_project, "unattended", quick, {})
    yield Deployed(fake_project, server)
    withdraw(quick)


def _judge(project, count: int, by: str) -> None:
    with open_store(f"sqlite:///{project.folder / 'feedback.db'}") as store:
        for number in range(count):
            store.add(
                BinaryJudgement(
                    id=f"{by}.{number}", annotator=by, concept="badge", kind="binary", picture=f"p{number}",
                    sha256="0" * 64, answer="no",
                )
            )  # fmt: skip


def _started(deployed, quick) -> str | None:
    said = deployed.project.call("tend-once", "safeguard/project", "3", **quick).stdout.strip()
    assert said == "Nothing to do." or said.startswith(_STARTED), said
    return said.removeprefix(_STARTED) if said.startswith(_STARTED) else None


def test_enough_new_judgements_start_one_run(deployed, quick):
    assert _started(deployed, quick) is None, "there is no store yet"
    _judge(deployed.project, 2, "ana")
    assert _started(deployed, quick) is None, "two of three"
    _judge(deployed.project, 1, "ben")
    name = _started(deployed, quick)
    assert name is not None
    assert _started(deployed, quick) is None, "it is under way"
    deployment = deployed.ask("GET", f"deployments/name/{deployed.name}")
    runs = deployed.ask("POST", "flow_runs/filter", flow_runs={"deployment_id": {"any_": [deployment["id"]]}})
    assert [(run["name"], run["tags"].count("feedback")) for run in runs] == [(name, 1)]
