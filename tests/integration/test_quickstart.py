"""The notebook runs from its first to its last cell, and shows a removal."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.support.projects import REPOSITORY

NOTEBOOK = REPOSITORY / "examples/quickstart.ipynb"

RUN_CELLS = """
import json, sys
names = {}
for number, source in enumerate(json.load(sys.stdin), start=1):
    exec(compile(source, f"code cell {number}", "exec"), names)
shares = {row["row"]: row["metrics"]["flagged@broad"]["value"] for row in names["report"]["rows"]}
changed = bool((names["before"] != names["after"]).any())
print("RESULT", json.dumps({"flagged": shares, "pictures": names["after"].shape, "changed": changed}))
"""


def cells(kind: str) -> list[dict]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_committed_without_outputs():
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells("code"))


def test_every_link_of_the_notebook_leads_somewhere():
    text = "".join("".join(cell["source"]) for cell in cells("markdown"))
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links and all((NOTEBOOK.parent / link).exists() for link in links)


@pytest.mark.timeout(1800)  # three minutes on two free cores; other tests share them
def test_every_cell_of_the_notebook_runs_and_the_removal_removes(tmp_path):
    sources = json.dumps(["".join(cell["source"]) for cell in cells("code")])
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN_CELLS], input=sources, cwd=NOTEBOOK.parent, env=environment, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.rsplit("RESULT", 1)[1])
    assert result["changed"] and result["pictures"] == [8, 64, 64, 3]
    assert result["flagged"]["safe"] < 0.75 * result["flagged"]["base"]  # .25 of .46 here, n 24
