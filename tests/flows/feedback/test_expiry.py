"""`hfi candidates expire`: files go, the project stays up to date, and what needs them is asked first."""

import hashlib
import json

import numpy as np
import pytest

from hfi_core.io.images import save_image

REAL = {"feedback__file": "data/feedback/mine.jsonl", "feedback__simulated": {}, "annotation__retention_days": 30}


@pytest.fixture
def judged(fake_project, quick):
    """A project whose candidates were judged in 2020, up to date as far as labels go."""
    fake_project.edit(**REAL)
    feedback = fake_project.folder / "data/feedback/mine.jsonl"
    feedback.parent.mkdir(parents=True)
    feedback.write_text("{}\n")
    fake_project.call("dvc", "add", "-q", str(feedback))
    fake_project.hfi("run", "--until", "generate", **quick)
    folder = fake_project.folder / "candidates" / "badge"
    manifest = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    lines = []
    for number, row in enumerate(manifest):
        save_image(folder / "pictures" / f"{row['id']}.png", np.full((4, 4, 3), number, dtype=np.uint8))
        for annotator in ("ana", "bo"):
            lines.append(
                {"id": f"{row['id']}.{annotator}", "annotator": annotator, "concept": "badge", "kind": "binary",
                 "picture": row["id"], "sha256": row["sha256"], "answer": "yes",
                 "answered_at": "2020-01-01T00:00:00Z"}
            )  # fmt: skip
    feedback.write_text("".join(json.dumps(line) + "\n" for line in lines[:-1]))  # the last picture lacks one
    fake_project.call("dvc", "commit", "-q", "-f", "generate@badge")
    return fake_project


def test_expired_pictures_go_and_the_project_is_still_up_to_date(judged, quick):
    judged.hfi("run", "--until", "ingest", **quick)
    judged.forget()
    folder = judged.folder / "candidates" / "badge"
    manifest = (folder / "manifest.jsonl").read_bytes()
    pictures = sorted((folder / "pictures").iterdir())
    digests = [hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in pictures]
    result = judged.hfi("candidates", "expire")
    assert f"{len(pictures) - 1} expired, 1 not judged enough yet" in result.stdout
    assert "Nothing was removed" in result.stdout and sorted((folder / "pictures").iterdir()) == pictures

    judged.hfi("candidates", "expire", "--apply")
    assert len(list((folder / "pictures").iterdir())) == 1
    assert (folder / "manifest.jsonl").read_bytes() == manifest
    cached = [judged.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:] for digest in digests]
    assert sum(path.exists() for path in cached) == 1
    assert "up to date" in judged.call("dvc", "status", "generate@badge", "ingest@badge").stdout
    judged.hfi("run", "--until", "ingest", **quick)
    assert judged.ran() == []
    assert "0 expired" in judged.hfi("candidates", "expire").stdout


def test_pictures_stay_while_something_that_reads_them_is_out_of_date(judged):
    result = judged.hfi("candidates", "expire", "--apply", code=2)
    assert "ingest@badge will read these pictures" in result.stderr and "hfi run" in result.stderr
    assert len(list((judged.folder / "candidates/badge/pictures").iterdir())) == 12


def test_nothing_expires_where_nothing_is_to_expire(fake_project):
    assert "retention_days is null" in fake_project.hfi("candidates", "expire", code=2).stderr
    fake_project.edit(annotation__retention_days=1)
    assert "simulated crowd" in fake_project.hfi("candidates", "expire", code=2).stderr
