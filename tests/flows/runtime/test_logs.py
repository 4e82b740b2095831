"""What `hfi` says, as text and as JSON: each line whole, tied to its run and unit, and without secrets."""

import io
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.runtime.logs import JsonLineFormatter
from hfi_core.pipeline.graph import STAGES
from tests.support.flow_fixtures import FakeProject, clone_project
from tests.support.forking import REAL
from tests.support.projects import REPOSITORY
from tests.support.servers import free_port, mlflow_server

DATABASE, TRACKING, WEBHOOK = SECRETS = ("Db-secret-0001", "Ml-secret-0002", "Hook-secret-0003")
CRASHING = "compare"


def lines_of(text: str) -> list[dict]:
    """Every line of a structured log; each must be an object."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(line, dict) and {"time", "level", "message", "run"} <= line.keys() for line in found)
    return found


@dataclass(frozen=True)
class Spoken:
    """Runs with passwords wherever one can be, and their output."""

    folder: Path
    whole: str
    crashed: str
    unreachable: str


@pytest.fixture(scope="module")
def spoken(_template, fake_environment, prefect_home, postgresql, tmp_path_factory) -> Spoken:
    """A run that ends well and one that crashes, as JSON; then, as text, one whose servers are out of reach."""
    folder = tmp_path_factory.mktemp("spoken")
    environment = fake_environment | {
        "PREFECT_HOME": prefect_home(folder / "prefect"),
        "HFI_FAILURE_WEBHOOK": f"http://127.0.0.1:{free_port()}/hooks/{WEBHOOK}?token={WEBHOOK}",
    }
    project = FakeProject(clone_project(_template, folder / "project", environment).folder, environment)
    with mlflow_server(folder / "mlflow", environment) as address:
        project.edit(
            tracking__mlflow=address.replace("://", f"://ana:{TRACKING}@"),
            feedback__database_url=postgresql.new_database("spoken", DATABASE),
        )
        whole = project.hfi("--log", "json", "run", **REAL)
        project.edit(seed=1)
        crashed = project.hfi("run", code=1, HFI_LOG="json", FAKE_CRASH=CRASHING)
    assert whole.stdout + crashed.stdout == "", "all output is in the log"
    project.edit(
        feedback__store=True, feedback__simulated={}, feedback__file="data/feedback/people.jsonl",
        feedback__database_url=f"postgresql+psycopg://ana:{DATABASE}@127.0.0.1:{free_port()}/none",
    )  # fmt: skip
    database = project.hfi("run", code=2)
    tracking = project.hfi("stage", "generate", "--unit", "badge", "--revision", "1", code=None)
    unreachable = "".join([database.stdout, database.stderr, tracking.stdout, tracking.stderr])
    return Spoken(folder, whole.stderr, crashed.stderr, unreachable)


def test_every_line_of_a_run_is_an_object_tied_to_it_and_to_its_unit(spoken):
    lines = lines_of(spoken.whole)
    assert len({line["run"] for line in lines}) == 1
    (done,) = [line for line in lines if line["message"].startswith("distill@anchored: done in")]
    assert (done["stage"], done["unit"], done["level"], done["logger"]) == ("distill", "anchored", "INFO", "hfi")
    assert done["seconds"] >= 0 and done["flow_run"]
    assert "unit" not in lines[0] and "flow_run" not in lines[0], "before anything runs"


def test_the_operations_page_names_every_field(spoken):
    table = (REPOSITORY / "docs/operations.md").read_text().split("## Logs")[1]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    documented = {name for cell in cells for name in re.findall("`(.+?)`", cell)}
    written = {name for line in lines_of(spoken.whole + spoken.crashed) for name in line}
    assert documented - written <= {"done", "total", "check", "traceback"} and written <= documented


def test_prefect_s_own_lines_pass_through_with_the_flow_run_and_the_task(spoken):
    theirs = [line for line in lines_of(spoken.whole) if line["logger"].startswith("prefect.")]
    assert {line["task"] for line in theirs if "task" in line} >= {"generate@badge", "distill@anchored", "package"}
    assert len({line["flow_run"] for line in theirs if "flow_run" in line}) == 1


def test_a_failure_is_one_line_of_level_error(spoken):
    (failure,) = [line for line in lines_of(spoken.crashed) if line["message"].startswith("Failed:")]
    assert failure["level"] == "ERROR" and f"RuntimeError: {CRASHING} was told to crash." in failure["message"]
    assert "traceback" not in failure, "--debug shows it"
    assert any("HFI_FAILURE_WEBHOOK did not receive" in line["message"] for line in lines_of(spoken.crashed))


def test_no_secret_is_in_any_log_record_or_file(spoken):
    output = spoken.whole + spoken.crashed + spoken.unreachable
    assert "out of reach" in spoken.unreachable and "postgresql+psycopg://ana:***@" in spoken.unreachable
    written_by_hand = [spoken.folder / "project" / name for name in ("params.yaml", "operations.yaml")]
    files = [path for path in spoken.folder.rglob("*") if path.is_file() and path not in written_by_hand]
    assert {"mlflow.db", "prefect.db", "dvc.lock"} <= {path.name for path in files}
    assert b"postgres:***@" in (spoken.folder / "mlflow/mlflow.db").read_bytes(), "params are recorded"
    for secret in SECRETS:
        assert secret not in output
        found = [path for path in files if secret.encode() in path.read_bytes()]
        assert found == [], secret


def test_no_stage_reads_an_address_that_may_hold_a_password():
    """What a stage reads is written into dvc.lock."""
    for stage in STAGES:
        assert not [key for key in stage.params if key in ("feedback", "feedback.database_url", "publish", "tracking")]
        assert not [key for key in stage.params if key.startswith(("publish.", "tracking."))], stage.name


def test_data_is_on_standard_output_and_nothing_else(fake_project):
    result = fake_project.hfi("params", "schema", HFI_LOG="json")
    assert json.loads(result.stdout)["title"] == "Params" and result.stderr == ""


def test_debug_adds_the_traceback_to_the_line(fake_project):
    command = ("stage", "generate", "--unit", "badge", "--revision", "1")
    failure = {"FAKE_CRASH": "generate@badge", "FAKE_UNTRACKED": "1"}
    result = fake_project.hfi("--debug", "--log", "json", *command, code=1, **failure)
    assert "RuntimeError: generate@badge was told to crash." in lines_of(result.stderr)[-1]["traceback"]


def test_an_unknown_form_is_refused(fake_project):
    assert "'text', 'json'" in fake_project.hfi("status", code=2, HFI_LOG="xml").stderr


def test_secrets_are_taken_out_of_messages_arguments_and_tracebacks(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", TRACKING)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLineFormatter())
    logger = logging.Logger("other")
    logger.addHandler(handler)
    try:
        raise OSError(f"GET https://host/hook?token={WEBHOOK}")
    except OSError:
        logger.exception("at %s with %s", f"http://ana:{DATABASE}@host", TRACKING, extra={"payload": TRACKING})
    (line,) = lines_of(stream.getvalue())
    assert line["message"] == "at http://ana:***@host with ***" and "OSError: GET" in line["traceback"]
    assert not [secret for secret in SECRETS if secret in stream.getvalue()]
