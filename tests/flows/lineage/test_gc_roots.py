"""What people said stays in DVC's cache."""

import subprocess
from pathlib import Path

from flows.lineage.gc_roots import _judgements
from hfi_core.params import parse_params
from tests.support.projects import default_raw


def test_judgements_about_a_removal_are_kept_as_those_of_the_feedback_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"data/feedback/people.jsonl": "1" * 32, "data/human_evaluation/first/judgements.jsonl": "2" * 32}
    for name, digest in files.items():
        pointer = Path(f"{name}.dvc")
        pointer.parent.mkdir(parents=True)
        pointer.write_text(f"outs:\n- md5: {digest}\n  size: 9\n  hash: md5\n  path: {Path(name).name}\n")
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "Judged"), ("rm", "-q", "-r", "data")):
        subprocess.run(["git", *command], check=True)
    subprocess.run(["git", *author, "commit", "-qm", "Removed"], check=True)
    root = _judgements(parse_params(default_raw()))
    assert {each.oid for each in root.data} == set(files.values())
