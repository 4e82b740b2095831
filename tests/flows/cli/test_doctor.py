"""`hfi doctor --deep`, as it is called."""

import json

from tests.support.servers import free_port


def test_a_fresh_project_passes_and_is_left_as_it_was(fake_project):
    (fake_project.folder / "mlflow.db").unlink()
    before = sorted(path for path in fake_project.folder.iterdir())
    result = fake_project.hfi("doctor", "--deep")
    for name in ("DVC remotes", "feedback database", "publish", "MLflow", "Prefect"):
        assert f"ok      {name:<20}" in result.stdout
    assert sorted(path for path in fake_project.folder.iterdir()) == before


def test_a_failure_says_how_to_fix_it_and_ends_with_exit_1(fake_project):
    fake_project.edit(tracking__mlflow=f"http://ana:secret@127.0.0.1:{free_port()}")
    result = fake_project.hfi("doctor", "--deep", code=1)
    assert "FAILED  MLflow" in result.stdout and "Correct tracking.mlflow" in result.stdout
    assert "1 of what a run needs is missing." in result.stdout
    assert "secret" not in result.stdout + result.stderr
    assert fake_project.hfi("doctor").returncode == 0, "without --deep nobody is asked"


def test_verdicts_are_lines_of_a_structured_log(fake_project):
    fake_project.edit(tracking__mlflow=f"http://127.0.0.1:{free_port()}")
    lines = [
        json.loads(line) for line in fake_project.hfi("--log", "json", "doctor", "--deep", code=1).stderr.splitlines()
    ]
    levels = {line["check"]: line["level"] for line in lines if "check" in line}
    assert levels["MLflow"] == "ERROR" and levels["Prefect"] == "INFO"
