"""The live store behind a project: its snapshot in the run, and the way back from a model to the judgements."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import closing

import pytest

from hfi_core.annotation.service.state import STATE_FILE, ServerState
from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.labels import assign_split
from hfi_core.feedback.schema import BinaryJudgement
from hfi_core.feedback.store import open_store
from hfi_core.feedback.store.pseudonyms import Pseudonyms
from hfi_core.io.hashing import sha256_of_file
from tests.support.flow_fixtures import FakeProject, clone_project

FILE = "data/feedback/people.jsonl"
FROM_STORE = {
    "feedback__file": FILE, "feedback__simulated": {}, "feedback__store": True, "feedback__minimum": 1,
    "reward__least": 4,
}  # fmt: skip


def store_of(project: FakeProject):
    return open_store(f"sqlite:///{project.folder / 'feedback.db'}")


def judge(project: FakeProject, annotator: str) -> None:
    """Answer about every candidate, half of each part with yes."""
    with store_of(project) as store:
        for part in ("learn", "attack"):
            rows = read_manifest(project.folder / "candidates/badge")
            rows = [row for row in rows if assign_split(row.id, project.params.feedback.held_out_for_attacks) == part]
            for number, row in enumerate(rows):
                answer = "no" if number % 2 else "yes"
                store.add(
                    BinaryJudgement(
                        id=f"{annotator}.{row.id}", annotator=annotator, concept="badge", kind="binary",
                        picture=row.id, sha256=row.sha256, answer=answer,
                    )
                )  # fmt: skip


@pytest.fixture
def from_store(fake_project) -> FakeProject:
    """A project whose judgements come from the live store."""
    fake_project.edit(**FROM_STORE)
    fake_project.hfi("params", "sync")
    return fake_project


@pytest.fixture(scope="module")
def _registered(_template, tmp_path_factory, fake_environment, server):
    environment = fake_environment | {"PREFECT_API_URL": server}
    project = FakeProject(shutil.copytree(_template, tmp_path_factory.mktemp("store") / "project"), environment)
    project.edit(**FROM_STORE)
    project.hfi("params", "sync")
    project.hfi("run", "--until", "generate", FAKE_UNTRACKED="1")
    ana = Pseudonyms(project.folder / ".hfi/people.json", {}).get_or_create("Ana")
    judge(project, ana)
    judge(project, "a-bo")
    project.hfi("run", "--until", "package", FAKE_UNTRACKED="1")
    project.call("git", "add", "-A")
    project.call("git", "commit", "-qm", "Learn from what people judged")
    project.hfi("run")
    return project, ana


@pytest.fixture
def registered(_registered, tmp_path) -> tuple[FakeProject, str]:
    """A copy of a project that has run on the judgements of two, and the pseudonym of Ana."""
    project, ana = _registered
    return clone_project(project.folder, tmp_path / "project", project.environment), ana


def snapshot_digest(project: FakeProject) -> str:
    return sha256_of_file(project.folder / FILE)


def test_a_run_takes_the_snapshot_before_it_asks_what_is_out_of_date(registered):
    project, ana = registered
    assert "Nothing to do" in project.hfi("run", FAKE_UNTRACKED="1").stdout
    assert "up to date" in project.call("dvc", "status").stdout
    before = snapshot_digest(project)
    judge(project, "a-cy")
    output = project.hfi("status").stdout
    assert re.search(r"ingest@badge +out of date +data/feedback/people.jsonl modified", output)
    assert snapshot_digest(project) != before
    project.forget()
    project.hfi("run", "--until", "ingest", FAKE_UNTRACKED="1")
    assert project.ran() == ["ingest@badge"]
    assert "up to date" in project.call("dvc", "status", f"{FILE}.dvc", "ingest@badge").stdout


def test_dvc_repro_warns_of_what_the_snapshot_lacks(registered):
    project, _ = registered
    judge(project, "a-cy")
    with store_of(project) as store:
        count = store.count_unsaved()
    result = project.call("dvc", "repro", "-f", "-s", "ingest@badge", FAKE_UNTRACKED="1")
    assert f"The store has {count} judgement(s) that {FILE} does not hold" in result.stdout + result.stderr
    assert "hfi feedback snapshot" in result.stdout + result.stderr
    result = project.hfi("feedback", "snapshot")
    assert "written" in result.stdout and snapshot_digest(project) in result.stdout
    assert "already current" in project.hfi("feedback", "snapshot").stdout


def test_a_clone_without_the_store_goes_on_from_the_snapshot(registered):
    project, _ = registered
    before = (project.folder / FILE).read_bytes()
    for path in project.folder.glob("feedback.db*"):
        path.unlink()
    result = project.hfi("status")
    assert "There is no store at sqlite:///feedback.db here" in result.stderr
    assert (project.folder / FILE).read_bytes() == before and not (project.folder / "feedback.db").exists()


def test_a_file_of_somebody_else_s_judgements_is_not_replaced(from_store):
    path = from_store.folder / FILE
    path.parent.mkdir(parents=True)
    row = {
        "id": "theirs-1", "annotator": "dee", "concept": "badge", "kind": "binary", "picture": "p", "sha256": "0" * 64,
        "answer": "yes",
    }  # fmt: skip
    path.write_text(json.dumps(row) + "\n")
    store_of(from_store).close()
    message = from_store.hfi("feedback", "snapshot", code=2).stderr
    assert "holds judgements that the store does not (theirs-1 ...)" in message
    assert f"`hfi feedback import {FILE}` brings them" in message
    assert json.loads(path.read_text()) == row


def test_a_project_with_a_simulated_crowd_refuses_a_snapshot(fake_project):
    assert "`simulated: {}`" in fake_project.hfi("feedback", "snapshot", code=2).stderr
    assert not (fake_project.folder / "feedback.db").exists()


def test_a_store_out_of_reach_ends_a_run_with_one_message(from_store):
    from_store.edit(feedback__database_url="postgresql+psycopg://ana:secret@127.0.0.1:1/x")
    for command in (["run"], ["status"], ["feedback", "snapshot"], ["feedback", "show", "0" * 8]):
        message = from_store.hfi(*command, code=2).stderr
        assert "is out of reach" in message and "secret" not in message and "Traceback" not in message


def labels_say(project: FakeProject, sha256: str) -> None:
    """The small graph's labels say no digest of the feedback; the real ones do."""
    summary = {"feedback_sha256": sha256, "pictures": 12, "aggregation": "share of votes"}
    (project.folder / "labels/badge/summary.json").write_text(json.dumps(summary))


def test_the_judgements_behind_a_model_are_shown_by_any_of_its_digests(registered):
    project, _ = registered
    digest, content = snapshot_digest(project), (project.folder / FILE).read_text()
    labels_say(project, digest)
    release = sha256_of_file(project.folder / "release/digests.json")
    for name in (digest, digest[:8], f"sha256:{digest}", release[:12]):
        result = project.hfi("feedback", "show", name)
        assert result.stdout == content and f"snapshot {digest}" in result.stderr


def test_an_earlier_snapshot_is_found_in_the_store_or_in_dvc_s_cache(registered):
    project, _ = registered
    digest, content = snapshot_digest(project), (project.folder / FILE).read_text()
    judge(project, "a-cy")
    project.hfi("feedback", "snapshot")
    assert snapshot_digest(project) != digest
    assert project.hfi("feedback", "show", digest).stdout == content
    for path in project.folder.glob("feedback.db*"):
        path.unlink()
    result = project.hfi("feedback", "show", digest)
    assert result.stdout == content and "DVC's cache, of commit" in result.stderr


@pytest.mark.parametrize(
    ("digest", "message"),
    [
        ("xyz", "is not a digest"),
        ("abc", "is not a digest"),
        ("../../etc", "is not a digest"),
        ("0" * 64, "Nothing in this project has"),
    ],
)
def test_a_digest_that_leads_nowhere(registered, digest, message):
    assert message in registered[0].hfi("feedback", "show", digest, code=2).stderr


def test_a_model_is_traced_down_to_the_judgements(registered):
    project, ana = registered
    digest, model = snapshot_digest(project), project.params.release.model
    labels_say(project, digest)
    release = sha256_of_file(project.folder / "release/digests.json")
    for name in ("1", model, f"{model}/1", f"{model}@candidate", "candidate", f"models:/{model}/1"):
        output = project.hfi("trace", name).stdout
        kinds = re.findall(r"^(\w+) {2,}", output, re.MULTILINE)
        assert kinds == ["registered", "release", "removal", "token", "reward", "labels", "snapshot", "judgements"]
        assert f"{model} version 1" in output and release in output and "models/anchored" in output and digest in output
        assert f"{ana} " in output and "a-bo " in output
    assert "there are: " + model + "/1" in project.hfi("trace", "nothing", code=2).stderr


def test_a_version_whose_release_is_gone_is_traced_by_the_lock_of_its_commit(registered):
    project, _ = registered
    model = project.params.release.model
    shutil.rmtree(project.folder / "release")
    output = project.hfi("trace", model).stdout
    assert "not in this folder" in output and snapshot_digest(project) in output
    stages = project.lock()["stages"]
    for kind, address in (("removal", "distill@anchored"), ("labels", "ingest@badge")):
        (out,) = stages[address]["outs"]
        assert re.search(rf"^{kind} +{out['path']}\n +{out['md5']}\n +MD5 in dvc.lock of commit", output, re.MULTILINE)
    assert "distill@base" not in output and "models/base" not in output


def test_forgetting_deletes_the_link_and_says_what_rests_on_the_person(registered):
    project, ana = registered
    before = snapshot_digest(project)
    output = project.hfi("feedback", "forget", "Ana").stdout
    assert f"{project.params.release.model} version 1 (candidate) depends on snapshot {before}" in output
    assert f"The link from {ana} to a person is deleted" in output and f"The judgements by {ana} stay" in output
    assert "Ana" not in (project.folder / ".hfi/people.json").read_text()
    assert "There is no annotator 'Ana'" in project.hfi("feedback", "forget", "Ana", code=2).stderr
    project.hfi("feedback", "snapshot")
    assert snapshot_digest(project) == before
    output = project.hfi("feedback", "forget", ana, "--judgements").stdout
    assert "version 1 (candidate) depends on" in output and "was not linked to a person" in output
    project.hfi("feedback", "snapshot")
    assert snapshot_digest(project) != before and ana not in (project.folder / FILE).read_text()
    for path in (project.folder / ".dvc/cache").rglob("*"):
        if path.is_file() and sha256_of_file(path) == before:
            path.unlink()  # as `dvc gc` does
    result = project.hfi("feedback", "show", before)
    assert "have been forgotten since" in result.stderr and result.stdout == (project.folder / FILE).read_text()


def test_forgetting_empties_what_the_annotation_page_kept_of_the_person_alone(registered):
    project, ana = registered
    with closing(ServerState(project.folder / ".hfi" / STATE_FILE)) as state:
        with state.transaction() as database:
            for who in (ana, "a-somebody-else"):
                database.execute("INSERT INTO annotator (pseudonym) VALUES (?)", (who,))
                database.execute("INSERT INTO exposure VALUES (?, 'p', '2026-11-25')", (who,))
        assert "The annotation server's data on" in project.hfi("feedback", "forget", "Ana").stdout
        assert state.query("SELECT pseudonym FROM annotator") == [("a-somebody-else",)]
        assert state.query("SELECT annotator FROM exposure") == [("a-somebody-else",)]


def test_forgetting_goes_on_where_the_registry_is_out_of_reach(registered):
    project, ana = registered
    project.edit(tracking__mlflow="http://127.0.0.1:1")
    output = project.hfi("feedback", "forget", ana, "--judgements").stdout
    assert "that depend on them are unknown" in output and "are deleted" in output


def test_a_list_of_people_that_others_can_read_is_refused(registered):
    project, _ = registered
    (project.folder / ".hfi/people.json").chmod(0o644)
    assert "chmod 600" in project.hfi("feedback", "forget", "Ana", code=2).stderr


@pytest.mark.integration
def test_the_commands_import_nothing_heavy():
    heavy = ("torch", "mlflow", "dvc", "prefect", "sqlalchemy", "scipy")
    code = f"import sys, flows.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
