"""`hfi feedback import`, `hfi feedback export` and `hfi candidates import`, as a user calls them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.store import open_store
from tests.support.judging import draw_candidates
from tests.support.projects import default_raw, write_raw

HEADER = "picture,annotator,answer\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A project with six candidates, whose judgements come from people."""
    raw = default_raw()
    raw["feedback"] |= {"simulated": {}, "store": True, "file": "data/feedback/people.jsonl"}
    write_raw(tmp_path, raw)
    draw_candidates(tmp_path / "candidates" / "badge", 6)
    return tmp_path


@pytest.fixture
def hfi(folder, forked) -> Callable[..., str]:
    """`hfi(*arguments, code=0)`: run the command in the project; its output on both streams."""

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(["hfi", *arguments], cwd=folder, capture_output=True, text=True, env=forked)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def judgements(folder: Path) -> list:
    with open_store(f"sqlite:///{folder / 'feedback.db'}") as store:
        return list(store.read_judgements())


def test_labels_are_looked_at_imported_once_and_exported(folder, hfi):
    (folder / "labels.csv").write_text(f"{HEADER}badge-0001,Ana,yes\nbadge-0002,Ana,no\n")
    output = hfi("feedback", "import", "labels.csv", "--dry-run")
    assert "dry run: 2 new judgements" in output and "1 annotators are new" in output and '"answer": "yes"' in output
    assert not (folder / "feedback.db").exists() and not (folder / ".hfi" / "people.json").exists()
    assert "2 new judgements" in hfi("feedback", "import", "labels.csv")
    assert "0 new judgements, 2 known already" in hfi("feedback", "import", "labels.csv")
    before = judgements(folder)
    assert "Ana" not in str(before) and len(before) == 2
    hfi("feedback", "export", "out.json", "--format", "label-studio")
    (folder / "feedback.db").unlink()
    hfi("feedback", "import", "out.json")
    assert judgements(folder) == before


def test_what_is_rejected_is_said_with_exit_code_two_and_changes_nothing(folder, hfi):
    (folder / "labels.csv").write_text(f"{HEADER}badge-0001,Ana,yes\nbadge-9,Ana,no\n")
    assert "line 3: the manifest has no picture 'badge-9'" in hfi("feedback", "import", "labels.csv", code=2)
    assert judgements(folder) == []
    assert "rejected: line 3: " in hfi("feedback", "import", "labels.csv", "--dry-run", code=2)
    assert "--format 'xls'" in hfi("feedback", "import", "labels.csv", "--format", "xls", code=2)
    assert "--column 'x'" in hfi("feedback", "import", "labels.csv", "--column", "x", code=2)
    assert "is missing" in hfi("feedback", "import", "gone.csv", code=2)


@pytest.mark.parametrize(
    ("file", "options", "begins"),
    [
        ("x.csv", (), "id,"), ("x.CSV", (), "id,"), ("x.tsv", (), "id\t"), ("x.jsonl", (), "{"), ("x.ndjson", (), "{"),
        ("x.json", ("--format", "label-studio"), "["), ("x.txt", ("--format", "csv"), "id,"),
        ("x", ("--format", "jsonl"), "{"), ("x.tsv", ("--format", "tsv"), "id\t"),
    ],
)  # fmt: skip
def test_the_ending_of_the_file_says_the_format(folder, hfi, file, options, begins):
    (folder / "labels.csv").write_text(f"{HEADER}badge-0001,Ana,yes\n")
    hfi("feedback", "import", "labels.csv")
    hfi("feedback", "export", file, *options)
    assert (folder / file).read_text().startswith(begins)


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("x.csv", ("--format", "jsonl"), "ends in .csv, which means csv, but --format is jsonl"),
        ("x.jsonl", ("--format", "csv"), "ends in .jsonl"),
        ("x.tsv", ("--format", "label-studio-tasks"), "ends in .tsv"),
        ("x.json", ("--format", "jsonl"), "ends in .json, which means label-studio or label-studio-min or"),
        ("x.json", (), "may be any of label-studio, label-studio-min, label-studio-tasks"),
        ("x", (), "its ending does not say the format"), ("x.xlsx", (), "its ending does not say the format"),
    ],
)  # fmt: skip
def test_an_ending_and_a_format_that_contradict_or_say_nothing_are_refused(folder, hfi, file, options, message):
    assert message in hfi("feedback", "export", file, *options, code=2)
    assert not (folder / file).exists()


def test_tasks_are_written_with_their_configuration(folder, hfi):
    hfi("feedback", "export", "tasks.json", "--format", "label-studio-tasks")
    assert len(json.loads((folder / "tasks.json").read_text())) == 6
    assert "<Choices" in (folder / "tasks.xml").read_text()
    assert "end in .json" in hfi("feedback", "export", "t.xml", "--format", "label-studio-tasks", code=2)


def test_pictures_that_exist_become_candidates(folder, hfi):
    arguments = ("candidates", "import", "candidates/badge/pictures", "--name", "queue")
    assert "6 pictures" in (output := hfi(*arguments)) and "dvc add data/candidates/queue" in output
    assert len(read_manifest(folder / "data" / "candidates" / "queue")) == 6
    assert "as before" in hfi(*arguments)
    assert "--name 'No way'" in hfi("candidates", "import", "candidates", "--name", "No way", code=2)


def test_options_of_a_stranger_s_table_are_read_and_contradictions_end_with_exit_code_two(folder, hfi):
    rows = "badge-0001.png|1,0|Ana|46351.5\nbadge-0002.png||Ana|46351.5\n"
    (folder / "labels.csv").write_text(f"file|verdict|who|day\n{rows}")
    columns = [f"--column={pair}" for pair in ("picture=file", "answer=verdict", "annotator=who", "answered_at=day")]
    arguments = ("feedback", "import", "labels.csv", "--delimiter", "|", "--yes", "1", *columns)
    assert "--skip-empty" in hfi(*arguments, code=2)
    arguments += ("--skip-empty",)
    assert "--time-format excel" in hfi(*arguments, code=2)
    arguments += ("--time-format", "excel", "--timezone", "Europe/Berlin")
    counts = "1 new judgements, 1 without an answer"
    assert counts in hfi(*arguments, "--dry-run") and counts in hfi(*arguments)
    assert judgements(folder)[0].answered_at.isoformat() == "2026-11-25T11:00:00+00:00"
    assert "contradict each other" in hfi(*arguments, "--no", "1", code=2)
    assert "choose one" in hfi(*arguments, "--column", "answer=who", code=2)


def test_a_file_with_nothing_to_import_ends_with_exit_code_two(folder, hfi):
    (folder / "labels.csv").write_text(HEADER)
    assert "there is nothing to import: the file has no rows" in hfi("feedback", "import", "labels.csv", code=2)
