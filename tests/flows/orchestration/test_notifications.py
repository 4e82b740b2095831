"""Whoever asked for it hears of a run that failed, and never of a password; that nobody listens changes nothing."""

import importlib
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient
from prefect import get_client
from prefect.states import Completed, Failed, State

from flows.execution.reevaluation import ReevaluatedRow
from flows.orchestration.notifications import notify_of_failure
from flows.releases.promotion import Reconciliation


def test_a_failure_is_posted_once_with_what_and_why(fake_project, quick, listener):
    where = {"HFI_FAILURE_WEBHOOK": listener.address, "PREFECT_UI_URL": "https://prefect.example.org"}
    fake_project.hfi("run", code=1, FAKE_CRASH="distill@anchored", **where, **quick)
    (posted,) = listener.heard
    assert posted["flow"] == "safeguard" and posted["state"] == "Failed"
    assert posted["run"].startswith("safeguard emblems")
    assert "distill@anchored was told to crash" in posted["message"]
    assert posted["message"] in posted["text"]
    assert posted["page"].startswith("https://prefect.example.org/runs/flow-run/")


def test_a_secret_of_the_environment_reaches_neither_the_webhook_nor_mlflow(fake_project, quick, listener):
    """Secrets that happen to be words of the message and of the params."""
    secrets = {"DEPLOY_TOKEN": "was told to crash", "SIGNING_SECRET": fake_project.params.release.model}
    where = {"HFI_FAILURE_WEBHOOK": listener.address, "PREFECT_API_URL": quick["PREFECT_API_URL"]}
    fake_project.hfi("run", code=1, FAKE_CRASH="distill@anchored", **where, **secrets)
    (posted,) = listener.heard
    assert "RuntimeError: distill@anchored ***." in posted["message"]
    assert not [secret for secret in secrets.values() if secret in posted["text"]]
    client = MlflowClient(f"sqlite:///{fake_project.folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("emblems").experiment_id])
    assert {run.data.params.get("release.model") for run in runs} >= {"***"}
    assert not [run for run in runs if secrets["SIGNING_SECRET"] in run.data.params.values()]


def test_a_run_that_ends_well_is_not_posted(fake_project, quick, listener):
    fake_project.hfi("run", "--until", "generate", HFI_FAILURE_WEBHOOK=listener.address, **quick)
    assert listener.heard == []


def test_a_webhook_out_of_reach_is_named_without_its_secret(fake_project, quick):
    address = "http://127.0.0.1:9/hook?token=hidden-token"
    posted = fake_project.hfi("run", code=1, FAKE_CRASH="distill@anchored", HFI_FAILURE_WEBHOOK=address, **quick)
    assert "HFI_FAILURE_WEBHOOK did not receive the failure" in posted.stderr
    assert "hidden-token" not in posted.stdout + posted.stderr


@pytest.mark.parametrize(
    ("flow", "function", "wanted"),
    [
        ("promotions.promotions", "reconcile_promotions", "version 3 was undone; version 1 is champion as before."),
        ("reevaluation.reevaluate", "evaluate_again", "anchored: 1 of 9 pictures differ, 1 have another verdict"),
    ],
)
def test_the_flows_with_a_schedule_report_their_findings(inside, server, listener, monkeypatch, flow, function, wanted):
    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.setenv("HFI_FAILURE_WEBHOOK", listener.address)
    module, name = flow.split(".")
    module = importlib.import_module(f"flows.{module}")
    results = {
        "reconcile_promotions": Reconciliation("undone", "3", "1", ("flagged@broad: fail",)),
        "evaluate_again": (ReevaluatedRow("anchored", 9, 1, 1),),
    }
    monkeypatch.setattr(module, function, lambda *_: results[function])
    assert getattr(module, name)(return_state=True).is_failed()
    (posted,) = listener.heard
    assert (posted["flow"], posted["state"]) == (name, "Failed") and wanted in posted["message"]


def test_a_deployment_that_fails_again_and_again_for_one_reason_is_posted_once(server, listener, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.setenv("HFI_FAILURE_WEBHOOK", listener.address)
    with get_client(sync_client=True) as client:
        flow = SimpleNamespace(name="each-minute")
        deployment = client.create_deployment(client.create_flow_from_name(flow.name), name="here")

        def end(state: State) -> None:
            run = client.create_flow_run_from_deployment(deployment)
            client.set_flow_run_state(run.id, state, force=True)
            if state.is_failed():
                notify_of_failure(flow, client.read_flow_run(run.id), state)

        reasons = ["S3 is out of reach", "S3 is out of reach", "The disk is full", None, "The disk is full"]
        for reason in reasons:
            end(Failed(message=reason) if reason else Completed(message="Nothing to do."))
    assert [posted["message"] for posted in listener.heard] == [reasons[0], reasons[2], reasons[4]]
