"""`hfi feedback import`, `hfi feedback export` and `hfi candidates import`, as a user calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.store import open_store
from tests.support.judging import draw_candidates
from tests.support.projects import REPOSITORY, default_raw, write_raw

HEADER = "picture,annotator,answer\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A project with six candidates, whose judgements come from people."""
    raw = default_raw()
    raw["feedback"] |= {"simulated": {}, "store": True, "file": "data/feedback/people.jsonl"}
    write_raw(tmp_path, raw)
    draw_candidates(tmp_path / "candidates" / "badge", 6)
    return tmp_path


def hfi(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the command; what it said on both streams."""
    command = [sys.executable, "-c", "from flows.cli.main import main; main()", *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def judgements(folder: Path) -> list:
    with open_store(f"sqlite:///{folder / 'feedback.db'}") as store:
        return list(store.read_judgements())


def test_labels_are_looked_at_imported_once_and_exported(folder):
    (folder / "labels.csv").write_text(f"{HEADER}badge-0001,Ana,yes\nbadge-0002,Ana,no\n")
    said = hfi(folder, "feedback", "import", "labels.csv", "--dry-run")
    assert "dry run: 2 new judgements" in said and "1 annotators are new" in said and '"answer": "yes"' in said
    assert not (folder / "feedback.db").exists() and not (folder / ".hfi" / "people.json").exists()
    assert "2 new judgements" in hfi(folder, "feedback", "import", "labels.csv")
    assert "0 new judgements, 2 known already" in hfi(folder, "feedback", "import", "labels.csv")
    before = judgements(folder)
    assert "Ana" not in str(before) and len(before) == 2
    hfi(folder, "feedback", "export", "out.json", "--format", "label-studio")
    (folder / "feedback.db").unlink()
    hfi(folder, "feedback", "import", "out.json")
    assert judgements(folder) == before


def test_what_is_rejected_is_said_with_exit_code_two_and_changes_nothing(folder):
    (folder / "labels.csv").write_text(f"{HEADER}badge-0001,Ana,yes\nbadge-9,Ana,no\n")
    assert "line 3: the manifest has no picture 'badge-9'" in hfi(folder, "feedback", "import", "labels.csv", code=2)
    assert judgements(folder) == []
    assert "rejected: line 3: " in hfi(folder, "feedback", "import", "labels.csv", "--dry-run", code=2)
    assert "--format 'xls'" in hfi(folder, "feedback", "import", "labels.csv", "--format", "xls", code=2)
    assert "--column 'x'" in hfi(folder, "feedback", "import", "labels.csv", "--column", "x", code=2)
    assert "is missing" in hfi(folder, "feedback", "import", "gone.csv", code=2)


def test_tasks_are_written_with_their_configuration(folder):
    hfi(folder, "feedback", "export", "tasks.json", "--format", "label-studio-tasks")
    assert len(json.loads((folder / "tasks.json").read_text())) == 6
    assert "<Choices" in (folder / "tasks.xml").read_text()
    assert "end in .json" in hfi(folder, "feedback", "export", "t.xml", "--format", "label-studio-tasks", code=2)


def test_pictures_that_exist_become_candidates(folder):
    arguments = ("candidates", "import", "candidates/badge/pictures", "--name", "queue")
    assert "6 pictures" in (said := hfi(folder, *arguments)) and "dvc add data/candidates/queue" in said
    assert len(read_manifest(folder / "data" / "candidates" / "queue")) == 6
    assert "as before" in hfi(folder, *arguments)
    assert "--name 'No way'" in hfi(folder, "candidates", "import", "candidates", "--name", "No way", code=2)
