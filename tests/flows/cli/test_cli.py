"""`hfi` as a user meets it: help, exit codes, messages."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from flows.cli import main as cli
from tests.support.projects import REPOSITORY

HEAVY = ("torch", "prefect", "mlflow", "dvc", "diffusers", "transformers", "pandas")


def test_help_teaches_the_commands_and_the_exit_codes(fake_project):
    result = fake_project.hfi("--help")
    for word in ("run", "stage", "status", "sample", "report", "register", "params", "doctor", "Exit codes: 0"):
        assert word in result.stdout


@pytest.mark.integration
def test_help_of_every_command_imports_nothing_heavy():
    script = f"""
import sys
from flows.cli.main import main
heavy = {HEAVY!r}
for command in (["--help"], ["run", "--help"], ["params", "--help"], ["sample", "--help"], ["doctor", "--help"]):
    sys.argv = ["hfi", *command]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, command
    found = [name for name in heavy if name in sys.modules]
    assert not found, (command, found)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)


def test_asking_what_is_out_of_date_imports_dvc_only(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    script = """
import sys
from tests.support.fakes import install
install()
from flows.cli.main import main
sys.argv = ["hfi", "run"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert "dvc" in sys.modules
found = [name for name in ("torch", "prefect", "mlflow", "diffusers", "transformers") if name in sys.modules]
assert not found, found
"""
    result = project.call(sys.executable, "-c", script)
    assert "Nothing to do" in result.stdout


def test_an_unknown_key_is_one_message_that_names_it_and_exit_2(fake_project):
    fake_project.edit(reward__hiden=3)
    for command in (
        ["run"],
        ["params", "check"],
        ["status"],
        ["stage", "generate", "--unit", "badge", "--revision", "1"],
    ):
        result = fake_project.hfi(*command, code=2)
        assert "reward.hiden: unknown key; did you mean `hidden`?" in result.stderr
        assert "Traceback" not in result.stderr


def test_wrong_usage_is_exit_2(fake_project):
    assert "--revision" in fake_project.hfi("stage", "generate", code=2).stderr
    assert "no stage 'nope'" in fake_project.hfi("run", "--until", "nope", code=2).stderr
    assert "No such command" in fake_project.hfi("nope", code=2).stderr


@pytest.mark.parametrize(
    "command",
    [("compare", "1", "2", "--page", "models"), ("sample", "base", "x", "--out", "params.yaml/x")],
)
def test_an_output_that_cannot_be_written_is_exit_2(fake_project, command):
    (fake_project.folder / "models").mkdir(exist_ok=True)
    result = fake_project.hfi(*command, code=2)
    assert command[-1] in result.stderr and "Traceback" not in result.stderr


def test_a_folder_that_is_not_a_project_is_named(fake_project, tmp_path):
    (tmp_path / "empty").mkdir()
    result = subprocess.run(
        ["hfi", "run"], cwd=tmp_path / "empty", env=fake_project.environment, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "params.yaml is missing" in result.stderr


def test_a_stage_refuses_another_revision_and_an_unknown_unit(fake_project):
    result = fake_project.hfi("stage", "generate", "--unit", "badge", "--revision", "7", code=2)
    assert "at revision 7, the installed code has 1: run `hfi params sync`" in result.stderr
    result = fake_project.hfi("stage", "generate", "--unit", "bagde", "--revision", "1", code=2)
    assert "no unit 'bagde'; it has badge" in result.stderr
    assert (
        "compare takes no --unit"
        in fake_project.hfi("stage", "compare", "--unit", "x", "--revision", "1", code=2).stderr
    )


def test_a_missing_input_says_what_makes_it(fake_project):
    result = fake_project.hfi("stage", "compare", "--revision", "1", code=2)
    assert "models is missing" in result.stderr
    assert "To make it: `hfi run --until distill`" in result.stderr


def test_a_failure_is_short_and_exit_1_and_debug_shows_where(fake_project):
    command = ("stage", "generate", "--unit", "badge", "--revision", "1")
    result = fake_project.hfi(*command, code=1, FAKE_CRASH="generate@badge", FAKE_UNTRACKED="1")
    assert "Failed: RuntimeError: generate@badge was told to crash." in result.stderr
    assert "Traceback" not in result.stderr
    result = fake_project.hfi("--debug", *command, code=1, FAKE_CRASH="generate@badge", FAKE_UNTRACKED="1")
    assert "Traceback" in result.stderr


def test_a_full_disk_that_a_library_meets_is_one_message_and_exit_code_2(monkeypatch, capsys):
    def write() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr(cli, "app", write)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert re.match(r"Error: The disk is full: .*'somewhere'\n  To fix this: free some space", capsys.readouterr().err)


def test_the_schema_describes_every_knob(fake_project):
    schema = json.loads(fake_project.hfi("params", "schema").stdout)
    block = schema["$defs"]["Compute"]["properties"]["block"]
    assert block["description"].startswith("Pictures that are computed together")


def test_pinning_writes_the_digests_and_leaves_every_other_byte(fake_project, miniature, tmp_path):
    for name, part in (("model", "pipeline"), ("clip", "clip"), ("judge", "clip")):
        shutil.copytree(miniature / part, tmp_path / name)
    (tmp_path / "judge/notes.json").write_text("{}")  # another digest than that of clip
    text = (REPOSITORY / "params.yaml").read_text()
    zeros = "sha256:" + "0" * 64
    raw = yaml.safe_load(text)
    for digest in {raw["model"]["digest"], raw["clip"]["digest"], raw["evaluate"]["judge"]["digest"]}:
        text = text.replace(digest, zeros)
    text = text.replace("source: embedded", f"source: {tmp_path / 'model'}", 1)
    text = text.replace("source: embedded", f"source: {tmp_path / 'clip'}", 1)
    text = text.replace("kind: embedded\n    source: null", f"kind: classifier\n    source: {tmp_path / 'judge'}", 1)
    text = text.replace("flagged: []\n    accepted: []", "flagged: [a]\n    accepted: [b]  # by label")
    text = text[: text.index("\n    crowd:")] + " {}" + text[text.index("\n  store:") :]
    text = text.replace("file: feedback/simulated.jsonl", "file: data/feedback/judgements.jsonl", 1)
    shutil.copytree(REPOSITORY / "prompts", fake_project.folder / "prompts")
    (fake_project.folder / "params.yaml").write_text(text)
    fake_project.hfi("params", "pin")
    pinned = (fake_project.folder / "params.yaml").read_text()
    found = yaml.safe_load(pinned)
    digests = [found["model"]["digest"], found["clip"]["digest"], found["evaluate"]["judge"]["digest"]]
    assert len({*digests, zeros}) == 4
    for digest in digests:
        pinned = pinned.replace(digest, zeros)
    assert pinned == text
    (tmp_path / "judge/notes.json").unlink()
    (fake_project.folder / "params.yaml").write_text(text)
    result = fake_project.hfi("params", "pin", code=2)
    assert "evaluate.judge has the same digest as clip" in result.stderr
    assert (fake_project.folder / "params.yaml").read_text() == text, "nothing was written"


def test_the_doctor_names_the_remedy_and_fails_for_what_is_needed(fake_project):
    result = fake_project.hfi("doctor", code=None)
    assert "DVC project" in result.stdout
    fake_project.edit(model__digest="sha256:" + "1" * 64)
    result = fake_project.hfi("doctor", code=1)
    assert "FAILED  model" in result.stdout


def test_sampling_refuses_a_row_that_is_not_there(fake_project):
    assert "no row 'nope'" in fake_project.hfi("sample", "nope", "a badge", code=2).stderr
    assert "To make it: `hfi run --until distill`" in fake_project.hfi("sample", "anchored", "a badge", code=2).stderr
