"""A run takes what lies in the inbox before it takes its snapshot."""

import json

from hfi_core.candidates.manifest import read_manifest
from tests.support.s3_fixtures import contents

FILE = "data/feedback/people.jsonl"


def test_what_others_dropped_is_in_the_snapshot_that_the_run_learns_from(fake_project, bucket, s3_port, quick):
    fake_project.edit(
        feedback__file=FILE, feedback__simulated={}, feedback__store=True, feedback__minimum=1, reward__least=4,
        feedback__inbox=f"s3://{bucket.name}/inbox", publish__endpoint=f"http://127.0.0.1:{s3_port}",
    )  # fmt: skip
    fake_project.hfi("params", "sync")
    keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_EC2_METADATA_DISABLED": "true"}
    fake_project.hfi("run", "--until", "generate", **quick, **keys)
    rows = [
        {"annotator": "vendor-7", "concept": "badge", "picture": row.id, "answer": "no" if number % 2 else "yes"}
        for number, row in enumerate(read_manifest(fake_project.folder / "candidates/badge"))
    ]
    bucket.put_object(Key="inbox/batch.jsonl", Body="\n".join(map(json.dumps, rows)).encode())
    result = fake_project.hfi("run", "--until", "ingest", **quick, **keys)
    assert f"batch.jsonl: {len(rows)} new judgements" in result.stdout
    snapshot = (fake_project.folder / FILE).read_text()
    assert len(snapshot.splitlines()) == len(rows) and "vendor-7" not in snapshot
    assert fake_project.ran()[-1] == "ingest@badge"
    assert [key.startswith("inbox/taken/batch-") for key in contents(bucket)] == [True]
