"""A real project names a file that DVC tracks; the simulation is gone from the graph."""

REAL = {"feedback__file": "data/feedback/mine.jsonl", "feedback__simulated": {}}


def test_missing_feedback_says_how_to_get_it(fake_project):
    fake_project.edit(**REAL)
    result = fake_project.hfi("run", code=2)
    assert "data/feedback/mine.jsonl is missing" in result.stderr
    assert "dvc add" in result.stderr
    (fake_project.folder / "data/feedback").mkdir(parents=True)
    (fake_project.folder / "data/feedback/mine.jsonl.dvc").write_text("outs:\n- md5: 0\n  path: mine.jsonl\n")
    assert "To fetch it: `dvc pull data/feedback/mine.jsonl`" in fake_project.hfi("run", code=2).stderr


def test_a_tracked_file_takes_the_place_of_the_simulation(fake_project, quick):
    fake_project.edit(**REAL)
    (fake_project.folder / "data/feedback").mkdir(parents=True)
    (fake_project.folder / "data/feedback/mine.jsonl").write_text("{}\n")
    fake_project.call("dvc", "add", "-q", "data/feedback/mine.jsonl")
    fake_project.hfi("run", "--until", "ingest", **quick)
    assert fake_project.ran() == ["generate@badge", "ingest@badge"]
    fake_project.forget()
    (fake_project.folder / "data/feedback/mine.jsonl").write_text("{}\n{}\n")  # people have judged on
    fake_project.hfi("run", "--until", "ingest", **quick)
    assert fake_project.ran() == ["ingest@badge"]
    status = fake_project.call("dvc", "status", "data/feedback/mine.jsonl.dvc", "ingest@badge").stdout
    assert "up to date" in status
