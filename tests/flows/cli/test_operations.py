"""The commands of the operations page, word for word: after a restore champion and judgements are those backed up."""

import json
import re
import subprocess
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from flows.tracking.client import registry_client
from hfi_core.feedback.schema import parse_judgement
from hfi_core.feedback.store import open_store
from tests.support.judging import draw_candidates, vote
from tests.support.postgresql import missing
from tests.support.projects import REPOSITORY
from tests.support.promoted import MODEL, Registry

PAGE = (REPOSITORY / "docs/operations.md").read_text()
PEOPLE = Path("data/feedback/people.jsonl")
ANA = "a-0123456789ab"
"""A pseudonym: the store knows no names."""


def commands(heading: str) -> str:
    """The one block of commands below a heading of the page."""
    (section,) = re.findall(rf"^##+ {heading}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    (block,) = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return block


@pytest.fixture
def shell(inside):
    """Runs a block of the page in the project's folder, as a person at a terminal would."""
    # MLflow keeps its connections by address for as long as a process lives, whatever folder that is in by then.
    inside.edit(tracking__mlflow=f"sqlite:///{inside.folder}/mlflow.db")

    def run(heading: str, **environment: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands(heading)], cwd=inside.folder,
            env=inside.environment | environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{heading}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def _judge(url: str, rows: list[dict]) -> None:
    with open_store(url) as store:
        for row in rows:
            store.add(parse_judgement(json.dumps(row)))


def _judgements(url: str) -> list:
    with open_store(url) as store:
        return list(store.read_judgements())


def _champion(project) -> tuple[str, dict[str, str], bytes]:
    """Version, tags and a file of the champion, as a consumer gets it."""
    client = registry_client(project.params)
    found = client.get_model_version_by_alias(MODEL, "champion")
    mlflow.set_tracking_uri(project.params.tracking.mlflow)
    folder = mlflow.artifacts.download_artifacts(f"models:/{MODEL}@champion")
    (content,) = Path(folder).rglob("release/content.json")
    return str(found.version), dict(found.tags), content.read_bytes()


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_a_restore_gives_the_same_champion_and_the_same_judgements(inside, shell, kind, request):
    environment, url = {}, "sqlite:///feedback.db"
    if kind == "PostgreSQL":
        if gone := missing("pg_dump", "pg_restore"):
            pytest.skip(gone)
        server = request.getfixturevalue("postgresql")
        url, tracking = (server.new_database(f"backed_up_{name}") for name in ("feedback", "mlflow"))
        inside.edit(tracking__mlflow=tracking)
        environment = {"FEEDBACK": url.replace("+psycopg", ""), "MLFLOW": tracking.replace("+psycopg", "")}
    inside.edit(
        feedback__database_url=url, feedback__store=True, feedback__simulated={}, feedback__file=PEOPLE.as_posix()
    )
    candidates = draw_candidates(inside.folder / "candidates/badge", 4)
    _judge(url, [vote(one, annotator=ANA) for one in candidates[:3]])
    registry = Registry(inside)
    registry.add(1)
    registry.move("1")
    registry.reconcile()
    judgements, champion = _judgements(url), _champion(inside)

    shell(f"Back up {kind}", **environment)

    registry.add(2)
    registry.move("2")
    registry.reconcile()
    registry.client.delete_model_version(MODEL, "1")
    _judge(url, [vote(candidates[3], annotator=ANA)])
    with open_store(url) as store:
        store.take_snapshot(PEOPLE)
        later = list(store.read_judgements())
        store.forget(ANA, judgements=True)
    if kind == "SQLite":
        (inside.folder / "mlflow.db").write_bytes(b"a disk's last words")

    shell(f"Restore {kind}", **environment)

    assert _judgements(url) == judgements and len(later) == len(judgements) + 1
    assert _champion(inside) == champion and champion[0] == "1"
    versions = registry_client(inside.params).search_model_versions(f"name='{MODEL}'")
    assert [str(one.version) for one in versions] == ["1"], "what came later is gone"

    output = shell("After a restore")
    assert "1 new judgements, 3 known already" in output
    assert _judgements(url) == later
    assert _champion(inside) == champion, "there was nothing to settle"


def test_the_roll_back_takes_one_command(inside, shell):
    registry = Registry(inside)
    for version in ("1", "2"):
        registry.add(int(version))
        registry.move(version)
        registry.reconcile()
    assert registry.champion == "2"
    assert "1" in shell("Roll back")
    client = MlflowClient(inside.params.tracking.mlflow)
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == "1"
    assert client.get_model_version(MODEL, "1").tags["promoted_by"] == "Ada"


def test_what_the_page_copies_is_all_that_the_project_s_own_folder_holds_of_people():
    """A file that the annotation page keeps and the backup forgets would be lost unseen."""
    private = {"people.json", "accounts.db", "page.db", "session.key"}
    listed = set(re.findall(r"`\.hfi/([a-z.]+)`", (REPOSITORY / "docs/reference/annotation-server.md").read_text()))
    assert listed == private
    assert all(f".hfi/{name}" in commands("Back up SQLite") for name in private)
