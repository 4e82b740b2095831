"""Pictures that exist already are candidates like any other: imported, judged, run, and in the end expired."""

import json

import numpy as np
import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.io.images import save_image

QUEUE = "data/candidates/queue"
IMPORTED = {
    "candidates__drawn": {}, "candidates__imported": {"badge": QUEUE}, "feedback__simulated": {},
    "feedback__file": "data/feedback/mine.jsonl", "feedback__minimum": 1, "annotation__retention_days": 30,
}  # fmt: skip


@pytest.fixture
def queue(fake_project):
    """A project whose one concept has three imported pictures, each judged in 2020."""
    for number in range(3):
        save_image(fake_project.folder / "inbox" / f"{number}.png", np.full((16, 16, 3), number, np.uint8))
    fake_project.hfi("candidates", "import", "inbox", "--name", "queue")
    fake_project.call("dvc", "add", "-q", QUEUE)
    fake_project.edit(**IMPORTED)
    lines = [
        {"id": row.id, "annotator": "ana", "concept": "badge", "kind": "binary", "picture": row.id,
         "sha256": row.sha256, "answer": "yes", "answered_at": "2020-01-01T00:00:00Z"}
        for row in read_manifest(fake_project.folder / QUEUE)
    ]  # fmt: skip
    feedback = fake_project.folder / "data/feedback/mine.jsonl"
    feedback.parent.mkdir(parents=True)
    feedback.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fake_project.call("dvc", "add", "-q", str(feedback))
    return fake_project


def test_nothing_is_drawn_and_hfi_run_and_dvc_repro_adopt_the_folder(queue, quick):
    queue.hfi("run", "--until", "ingest", **quick)
    assert queue.ran() == ["ingest@badge"]
    assert read_manifest(queue.folder / "candidates/badge") == read_manifest(queue.folder / QUEUE)
    assert "up to date" in queue.call("dvc", "repro", "adopt", "ingest").stdout
    again = queue.hfi("run", "--until", "ingest", **quick)
    assert queue.ran() == ["ingest@badge"], again.stdout


def test_a_folder_that_grew_is_adopted_again(queue, quick):
    queue.hfi("run", "--until", "ingest", **quick)
    save_image(queue.folder / "inbox" / "new.png", np.full((16, 16, 3), 99, np.uint8))
    queue.hfi("candidates", "import", "inbox", "--name", "queue")
    queue.hfi("run", "--until", "adopt", **quick)
    assert len(read_manifest(queue.folder / "candidates/badge")) == 4


def test_a_folder_that_is_missing_is_named_with_its_remedy(queue, quick):
    queue.edit(candidates__imported={"badge": "data/candidates/elsewhere"})
    result = queue.hfi("run", "--until", "adopt", code=2, **quick)
    assert "data/candidates/elsewhere is missing" in result.stderr and "hfi candidates import" in result.stderr


def test_expired_pictures_go_from_the_imported_folder_too(queue, quick):
    queue.hfi("run", "--until", "ingest", **quick)
    queue.hfi("candidates", "expire", "--apply")
    for folder in (QUEUE, "candidates/badge"):
        assert list((queue.folder / folder / "pictures").iterdir()) == []
        assert len(read_manifest(queue.folder / folder)) == 3
    cached = [path for path in (queue.folder / ".dvc/cache").rglob("*") if path.is_file()]
    assert cached and not any(path.read_bytes().startswith(b"\x89PNG") for path in cached)
    queue.forget()
    queue.hfi("run", "--until", "ingest", **quick)
    assert queue.ran() == []


def test_pictures_expire_from_the_one_of_several_sets_that_has_them(queue, quick):
    other = "data/candidates/other"
    save_image(queue.folder / "further" / "new.png", np.full((16, 16, 3), 200, np.uint8))
    queue.hfi("candidates", "import", "further", "--name", "other")
    queue.call("dvc", "add", "-q", other)
    queue.edit(candidates__imported={"badge": [QUEUE, other]})
    queue.hfi("params", "sync")
    queue.hfi("run", **quick)
    assert len(read_manifest(queue.folder / "candidates/badge")) == 4
    queue.hfi("candidates", "expire", "--apply")
    left = {folder: len(list((queue.folder / folder / "pictures").iterdir())) for folder in (QUEUE, other)}
    assert left == {QUEUE: 0, other: 1}
    assert len(list((queue.folder / "candidates/badge/pictures").iterdir())) == 1
    queue.forget()
    queue.hfi("run", **quick)
    assert queue.ran() == []
    assert "up to date" in queue.call("dvc", "status").stdout
