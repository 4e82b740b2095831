"""A model folder goes through eval-unlearn with the project's judge, where eval-unlearn is installed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.support.projects import REPOSITORY, Project


def test_eval_unlearn_draws_a_diffusers_folder_and_our_judge_counts(project: Project, miniature):
    if find_spec("eval_unlearn") is None:
        pytest.skip("the package eval-unlearn is not installed: pip install eval-unlearn")
    prompts = project.folder / "prompts.csv"
    prompts.write_text("case_number,prompt,evaluation_seed\n0,a badge,1\n1,a red badge,2\n2,a boat,3\n")
    example = str(REPOSITORY / "examples/eval_unlearn_judge.py")
    command = [sys.executable, example, str(miniature / "pipeline"), "prompts.csv", "--limit", "2", "--out", "theirs"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (report,) = (project.folder / "theirs").glob("*_report_full.json")
    result = json.loads(report.read_text())["metric_result"]
    assert result["name"] == "flagged" and result["details"]["total_images"] == 2
    assert result["value"] == len(result["details"]["cases"]) / 2
    assert done.stdout.splitlines()[-1] == f"flagged {result['value']:.3f} of 2"
    assert len(list((project.folder / "theirs").rglob("*.png"))) == 2
