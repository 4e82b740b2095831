"""The pipeline waits for people: a deployed run is suspended on a real server, a plain `hfi run` ends and says so."""

import json
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from flows.orchestration.feedback_gate import measure, offer_and_measure
from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.labels import assign_split
from hfi_core.feedback.schema import BinaryJudgement, parse_judgement
from hfi_core.feedback.store import open_store
from hfi_core.params import parse_params
from hfi_core.pipeline.graph import units_of
from tests.support.deployment import Deployed, deploy, processes_of, withdraw
from tests.support.fakes import CANDIDATES, STEPS
from tests.support.flow_fixtures import FakeProject
from tests.support.judging import draw_candidates, vote, write_lines
from tests.support.projects import default_raw
from tests.support.waiting import wait_until

FROM_STORE = {
    "feedback__file": "data/feedback/people.jsonl", "feedback__simulated": {}, "feedback__store": True,
    "feedback__minimum": 1, "reward__least": 4,
}  # fmt: skip
PAGE = "https://judge.example.org/"
A_SECOND = 1 / 86_400
BEFORE = ["generate@badge"]
AFTER = ["ingest@badge", "distill@base", "distill@anchored", "compare", "package"]


def _judge(project: FakeProject) -> None:
    """Have every candidate judged: half of them are objectionable."""
    with open_store(f"sqlite:///{project.folder / 'feedback.db'}") as store:
        for part in ("learn", "attack"):
            rows = [
                row
                for row in read_manifest(project.folder / "candidates/badge")
                if assign_split(row.id, project.params.feedback.held_out_for_attacks) == part
            ]
            for number, row in enumerate(rows):
                store.add(
                    BinaryJudgement(
                        id=f"ana.{row.id}", annotator="ana", concept="badge", kind="binary", picture=row.id,
                        sha256=row.sha256, answer="no" if number % 2 else "yes",
                    )
                )  # fmt: skip


def _offered(project: FakeProject) -> int:
    with open_store(f"sqlite:///{project.folder / 'feedback.db'}") as store:
        return store.count_progress("badge", 1).pictures


@pytest.fixture
def judged_by_people(fake_project) -> FakeProject:
    """A fresh project whose judgements come from the live store."""
    fake_project.edit(**FROM_STORE)
    fake_project.hfi("params", "sync")
    return fake_project


def test_a_plain_run_makes_what_is_to_be_judged_and_ends_with_the_commands_that_go_on(judged_by_people, quick):
    project = judged_by_people
    result = project.hfi("run", code=3, **quick)
    assert project.ran() == BEFORE
    assert "badge: needs 4 more pictures with 1 judgement each (0 of 4)" in result.stdout
    assert {"Judge:   hfi annotate", "Then:    hfi run"} <= set(result.stdout.splitlines())
    assert result.stderr == ""
    assert _offered(project) == CANDIDATES
    _judge(project)
    project.hfi("run", **quick)
    assert project.ran() == BEFORE + AFTER
    assert "Nothing to do" in project.hfi("run", **quick).stdout


def test_what_nobody_can_be_asked_about_is_neither_offered_nor_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = draw_candidates(tmp_path / "candidates/badge", 12)
    learn = [row for row in rows if assign_split(row.id, 0.3) == "learn"]
    gold, gone = learn[:2]
    write_lines(tmp_path / "gold.jsonl", [vote(gold)])
    (tmp_path / "candidates/badge" / gone.file).unlink()
    raw = default_raw()
    raw["annotation"]["gold"] = "gold.jsonl"
    raw["feedback"] |= {"file": "people.jsonl", "simulated": {}, "store": True, "minimum": 1}
    raw["reward"]["least"], raw["feedback"]["held_out_for_attacks"] = 4, 0.3
    params = parse_params(raw)
    with open_store(params.feedback.database_url) as store:
        store.offer("badge", rows)  # by an earlier run, before one was gold and one was gone
        (need,) = offer_and_measure(params, units_of(params))
        assert (store.count_progress("badge", 1).pictures, need.candidates) == (10, len(learn) - 2)
        for row in rows:
            if row.id not in (gold.id, gone.id):
                store.add(parse_judgement(json.dumps(vote(row, "no"))))
        assert [concept.is_sufficient for concept in measure(params, units_of(params))] == [True], (
            "all that can be judged is judged"
        )


def test_with_the_candidates_there_prefect_is_not_started_to_say_that_people_are_needed(judged_by_people):
    project = judged_by_people
    project.hfi("stage", "generate", "--unit", "badge", "--revision", "1", FAKE_UNTRACKED="1")
    project.call("dvc", "commit", "-q", "-f", "generate@badge")
    result = project.hfi("run", code=3, PREFECT_API_URL="http://127.0.0.1:9/api")  # a server that nobody misses
    assert "badge: needs 4 more pictures" in result.stdout
    assert _offered(project) == CANDIDATES
    assert "not made yet" in project.hfi("status").stdout


def test_a_clone_with_the_snapshot_and_no_store_waits_for_nobody(judged_by_people, quick):
    project = judged_by_people
    project.hfi("run", "--until", "generate", **quick)
    _judge(project)
    project.hfi("run", "--until", "ingest", **quick)
    (project.folder / "feedback.db").unlink()
    project.hfi("run", "--until", "distill", **quick)
    assert project.ran() == [*BEFORE, "ingest@badge", "distill@base", "distill@anchored"]
    assert not (project.folder / "feedback.db").exists()


def test_a_run_on_a_server_that_belongs_to_no_deployment_ends_in_a_state_of_its_own(judged_by_people, quick, server):
    project = judged_by_people
    project.edit(tracking__experiment="undeployed")
    project.hfi("run", code=3, **quick)
    wanted = {"flow_runs": {"name": {"like_": "safeguard undeployed"}}}
    (run,) = httpx.post(f"{server}/flow_runs/filter", json=wanted, timeout=30).json()
    assert (run["state"]["type"], run["state"]["name"]) == ("COMPLETED", "NeedsPeople")
    assert "badge: needs 4 more pictures" in run["state"]["message"]


def test_too_few_candidates_are_a_mistake_before_anybody_judges(judged_by_people, quick):
    judged_by_people.edit(reward__least=CANDIDATES)
    result = judged_by_people.hfi("run", code=2, **quick)
    assert f"reward.least asks for {CANDIDATES} with labels" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.fixture
def deployed(judged_by_people, quick, server) -> Iterator[Deployed]:
    """What `hfi deploy` sends, and a worker; waiting runs are looked for every few seconds."""
    project = judged_by_people
    deploy(project, "waiting", quick, {"safeguard": {"page": PAGE}, "tend": {"judgements": None}}, tend=10)
    with project.running(
        "prefect", "worker", "start", "--pool", "waiting", "--type", "process",
        PREFECT_WORKER_QUERY_SECONDS="1", **quick,
    ):  # fmt: skip
        yield Deployed(project, server)
    withdraw(quick)


def test_a_deployed_run_is_suspended_until_people_have_judged_and_nothing_is_done_twice(deployed):
    project, run = deployed.project, deployed.start()
    deployed.wait_for(run, "Suspended", attempt=1)
    wait_until(lambda: not processes_of(run), "no process is held")
    assert project.ran() == BEFORE
    assert _offered(project) == CANDIDATES
    waiting = deployed.artifact(run)
    assert f"[annotation page]({PAGE})" in waiting
    assert "| badge | 0 | 4 | 4 more pictures with 1 judgement each (0 of 4) |" in waiting

    deployed.ask("POST", f"flow_runs/{run}/resume")  # by hand, and too early
    deployed.wait_for(run, "Suspended", attempt=2)
    wait_until(lambda: not processes_of(run), "no process is held in the second wait")

    _judge(project)  # nobody tells the run
    deployed.wait_for(run, "Completed")
    assert project.ran() == BEFORE + AFTER
    lines = (project.folder / "ran.log").read_text().splitlines()
    assert set(Counter(line.split()[0] for line in lines).values()) == {STEPS}, "each step was taken once"
    assert "Waiting" not in deployed.artifact(run)
    assert "| nothing |" in deployed.artifact(run)


@pytest.mark.soak  # the wait and its end by people are above
def test_a_wait_without_an_end_ends_the_run_in_a_clear_state(deployed):
    run = deployed.start(wait_days=2 * A_SECOND)
    state = deployed.wait_for(run, "Failed")
    assert state["message"] == "The flow was paused and never resumed."
    assert "Without it the run fails at" in deployed.artifact(run)
    _judge(deployed.project)
    deployed.wait_for(deployed.start(), "Completed")
    assert deployed.project.ran() == BEFORE + AFTER, "another run goes on from what was made"
