"""What others drop into the inbox is imported once, whole or not at all, and moved away with what came of it."""

import errno
import json

import pytest

from flows.feedback import inbox
from flows.feedback.inbox import REASON, fetch_for_run, fetch_inbox
from flows.storage.s3 import StorageUnreachable
from hfi_core.errors import UserError
from hfi_core.feedback.store import Store, open_store
from hfi_core.params import load_params
from tests.support.judging import candidate, vote, write_manifest
from tests.support.s3_fixtures import contents

CANDIDATES = [candidate(f"badge-{k:02d}", f"{k:064x}") for k in range(6)]
FILE = "data/feedback/people.jsonl"


def export(annotator: str, answer: str = "yes", about=CANDIDATES) -> bytes:
    """A vendor's file: without ids, as vendors' files are."""
    rows = [vote(one, answer, annotator) for one in about]
    return "".join(json.dumps({k: v for k, v in row.items() if k != "id"}) + "\n" for row in rows).encode()


BAD = export("cara") + b'{"annotator": "cara", "concept": "badge", "picture": "badge-99", "answer": "yes"}\n'


@pytest.fixture
def project(bare_project):
    """A project of nothing but params."""
    return bare_project


@pytest.fixture
def params(project, proxy, bucket):
    """Params with an inbox, in a project whose candidates are drawn."""
    write_manifest(project.folder / "candidates/badge", CANDIDATES)
    project.edit(
        feedback__file=FILE, feedback__simulated={}, feedback__store=True,
        feedback__inbox=f"s3://{bucket.name}/inbox", publish__endpoint=proxy.endpoint,
    )  # fmt: skip
    return load_params(project.folder / "params.yaml")


@pytest.fixture
def drop(bucket):
    """Drops a file into the inbox."""
    return lambda name, content: bucket.put_object(Key=f"inbox/{name}", Body=content)


def stored() -> list[tuple[str, str, str]]:
    """Who has answered what about which picture, as the store has it."""
    with open_store("sqlite:///feedback.db") as store:
        return sorted((one.annotator, one.picture, one.answer) for one in store.read_judgements())


def names(bucket) -> list[str]:
    return sorted(key.removeprefix("inbox/") for key in contents(bucket))


def test_files_are_imported_and_moved_with_their_bytes(params, bucket, drop):
    drop("monday.jsonl", export("ana"))
    drop("week 2/tuesday.jsonl", export("bo", "no"))
    found = fetch_inbox(params)
    assert set(found.taken) == {"monday.jsonl", "week 2/tuesday.jsonl"} and not found.rejected
    assert len(stored()) == 12
    there = contents(bucket)
    assert sorted(there.values()) == sorted([export("ana"), export("bo", "no")])
    assert [key.rsplit("-", 1)[0] for key in sorted(there)] == ["inbox/taken/monday", "inbox/taken/week 2/tuesday"]


def test_a_bad_file_is_rejected_whole_with_the_reason_and_keeps_no_other_from_coming(params, bucket, drop):
    drop("a-bad.jsonl", BAD)
    drop("b-good.jsonl", export("ana"))
    drop("c-torn.zip", b"PK\x03\x04 and more")
    found = fetch_inbox(params)
    assert set(found.rejected) == {"a-bad.jsonl", "c-torn.zip"} and set(found.taken) == {"b-good.jsonl"}
    assert len(stored()) == 6
    there = {key.removeprefix("inbox/rejected/"): value for key, value in contents(bucket).items()}
    (bad,) = [key for key in there if key.startswith("a-bad-") and key.endswith(".jsonl")]
    reason = there[bad + REASON].decode()
    assert there[bad] == BAD and "badge-99" in reason and "line 7" in reason and "/tmp" not in reason, reason
    assert sum(key.endswith(REASON) for key in there) == 2


def test_a_second_fetch_finds_nothing_and_the_same_bytes_again_change_nothing(params, bucket, drop):
    drop("monday.jsonl", export("ana"))
    fetch_inbox(params)
    before = names(bucket)
    assert not fetch_inbox(params).taken
    drop("monday.jsonl", export("ana"))
    assert "0 new judgements" in fetch_inbox(params).taken["monday.jsonl"]
    assert len(stored()) == 6 and names(bucket) == before


def test_next_week_s_file_of_the_same_name_does_not_replace_this_week_s(params, bucket, drop):
    drop("export.jsonl", export("ana"))
    fetch_inbox(params)
    drop("export.jsonl", export("bo"))
    fetch_inbox(params)
    assert len(stored()) == 12 and len(names(bucket)) == 2


def test_who_is_stopped_between_import_and_move_does_not_import_twice(params, bucket, drop, monkeypatch):
    drop("monday.jsonl", export("ana"))
    with monkeypatch.context() as stopped:

        def stop(*_):
            raise KeyboardInterrupt

        stopped.setattr(inbox, "_move", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch_inbox(params)
    imported = stored()
    assert len(imported) == 6 and names(bucket) == ["monday.jsonl"]
    assert "6 known already" in fetch_inbox(params).taken["monday.jsonl"]
    assert stored() == imported and len(names(bucket)) == 1 and names(bucket)[0].startswith("taken/")


def test_who_is_stopped_between_storing_and_deletion_leaves_one_copy(params, proxy, bucket, drop):
    drop("monday.jsonl", export("ana"))
    proxy.breaks("busy", "DELETE", times=1000)
    with pytest.raises(UserError, match="Run this again"):
        fetch_inbox(params)
    assert len(names(bucket)) == 2
    proxy.faults.clear()
    fetch_inbox(params)
    assert len(stored()) == 6 and len(names(bucket)) == 1


def test_a_file_that_is_replaced_while_it_is_imported_is_taken_the_next_time(params, bucket, drop, monkeypatch):
    drop("export.jsonl", export("ana"))
    really = inbox._import

    def slowly(params, file, store):
        came_of_it = really(params, file, store)
        drop("export.jsonl", export("bo"))
        return came_of_it

    with monkeypatch.context() as slow:
        slow.setattr(inbox, "_import", slowly)
        fetch_inbox(params)
    assert len(stored()) == 6 and contents(bucket)["inbox/export.jsonl"] == export("bo")
    assert export("ana") in contents(bucket).values()
    fetch_inbox(params)
    assert len(stored()) == 12 and "export.jsonl" not in names(bucket)
    assert export("bo") in contents(bucket).values()


@pytest.mark.parametrize("kind", ["busy", "cut", "lost", "torn", "stalled"])
def test_a_network_that_breaks_in_the_middle_loses_nothing_and_doubles_nothing(params, proxy, bucket, drop, kind):
    drop("monday.jsonl", export("ana"))
    drop("tuesday.jsonl", BAD)
    for method, address in (("GET", "list-type"), ("GET", "monday"), ("PUT", "taken/"), ("PUT", REASON)):
        proxy.breaks(kind, method, address)
    proxy.breaks(kind, "DELETE")
    found = fetch_inbox(params)
    assert len(proxy.met) == 5, proxy.seen
    assert set(found.taken) == {"monday.jsonl"} and set(found.rejected) == {"tuesday.jsonl"}
    assert len(stored()) == 6
    there = contents(bucket)
    assert len(there) == 3 and export("ana") in there.values() and BAD in there.values()


def test_a_store_out_of_reach_does_not_reject_the_file(project, params, bucket, drop):
    drop("monday.jsonl", export("ana"))
    (project.folder / "feedback.db").write_text("no database at all, but long enough to be read as one" * 20)
    with pytest.raises(UserError, match="not a SQLite database"):
        fetch_inbox(params)
    assert names(bucket) == ["monday.jsonl"]


def test_a_store_that_fails_in_the_middle_rejects_nothing(params, bucket, drop, monkeypatch):
    drop("monday.jsonl", export("ana"))

    def full(*_, **__):
        raise UserError("The store feedback.db could not be written, the disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "add_batch", full)
        with pytest.raises(UserError, match="disk is full"):
            fetch_inbox(params)
    assert names(bucket) == ["monday.jsonl"]
    fetch_inbox(params)
    assert len(stored()) == 6 and names(bucket)[0].startswith("taken/")


def test_a_file_that_is_too_large_is_rejected_without_being_fetched(params, proxy, bucket, drop, monkeypatch):
    drop("a-huge.jsonl", export("ana") * 20)
    drop("b-good.jsonl", export("bo"))
    monkeypatch.setattr(inbox, "MAX_BYTES", len(export("bo")))
    found = fetch_inbox(params)
    assert set(found.taken) == {"b-good.jsonl"} and set(found.rejected) == {"a-huge.jsonl"}
    assert proxy.count("GET", "a-huge") == 0
    there = {key.removeprefix("inbox/rejected/"): value for key, value in contents(bucket).items() if "huge" in key}
    (moved,) = [key for key in there if not key.endswith(REASON)]
    assert there[moved] == export("ana") * 20 and "upload it in parts" in there[moved + REASON].decode()
    assert not fetch_inbox(params).rejected


@pytest.mark.parametrize(("kind", "address"), [("busy", "list-type"), ("stalled", "list-type"), ("torn", "monday")])
def test_a_run_goes_on_without_an_inbox_that_is_out_of_reach(params, proxy, bucket, drop, capsys, kind, address):
    drop("monday.jsonl", export("ana"))
    proxy.breaks(kind, "GET", address, times=1000)
    with pytest.raises(StorageUnreachable):
        fetch_inbox(params)
    fetch_for_run(params)
    assert "This run continues with the feedback that it has." in capsys.readouterr().err
    assert names(bucket) == ["monday.jsonl"]
    proxy.faults.clear()
    fetch_for_run(params)
    assert len(stored()) == 6


def test_a_mistake_in_the_inbox_s_name_stops_a_run(project, params):
    project.edit(feedback__inbox="s3://nobody-has-made-this/inbox")
    with pytest.raises(UserError, match="no such bucket"):
        fetch_for_run(load_params(project.folder / "params.yaml"))


def test_a_full_disk_is_named_at_once_and_the_file_stays(params, proxy, bucket, drop, monkeypatch):
    drop("monday.jsonl", export("ana"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(inbox.shutil, "copyfileobj", full)
    with pytest.raises(UserError, match=r"monday.jsonl was not written: the disk is full"):
        fetch_inbox(params)
    assert proxy.count("GET", "monday") == 1 and names(bucket) == ["monday.jsonl"]


def test_without_candidates_nothing_is_taken_or_rejected(project, params, bucket, drop, proxy):
    (project.folder / "candidates/badge/manifest.jsonl").unlink()
    drop("monday.jsonl", export("ana"))
    with pytest.raises(UserError, match="no candidates of badge"):
        fetch_inbox(params)
    fetch_for_run(params)
    assert proxy.seen == [] and names(bucket) == ["monday.jsonl"]


def test_a_run_in_a_clone_that_has_the_snapshot_and_no_store_leaves_the_inbox_alone(project, params, bucket, drop):
    drop("monday.jsonl", export("ana"))
    (project.folder / FILE).parent.mkdir(parents=True)
    (project.folder / FILE).write_bytes(export("bo"))
    fetch_for_run(params)
    assert names(bucket) == ["monday.jsonl"] and not (project.folder / "feedback.db").exists()


def test_without_an_inbox_the_message_says_how_to_name_one(project, params):
    project.edit(feedback__inbox=None)
    with pytest.raises(UserError, match=r"feedback\.inbox"):
        fetch_inbox(load_params(project.folder / "params.yaml"))


def test_what_lies_in_a_folder_below_and_is_not_feedback_stays(params, bucket, drop, capsys):
    drop("week 2/tuesday.jsonl", export("bo", "no"))
    others = {
        "files/md5/ab/cdef": b"data of DVC", "week 2/bad.jsonl": BAD, "releases/digests.json": b'{"files": {}}',
        "x/report.html": b"<html>", "page/x.csv": b"a,b\n1,2\n",
    }  # fmt: skip
    for name, content in others.items():
        drop(name, content)
    drop("bad.jsonl", BAD)
    found = fetch_inbox(params)
    assert set(found.taken) == {"week 2/tuesday.jsonl"} and set(found.rejected) == {"bad.jsonl"}
    assert set(found.left) == set(others)
    there = {key.removeprefix("inbox/"): value for key, value in contents(bucket).items()}
    assert {name: there.get(name) for name in others} == others
    inbox.report_fetched(found)
    assert "5 file(s) in folders below stay where they are" in capsys.readouterr().err


def test_a_folder_below_with_a_file_that_is_too_large_stays(params, bucket, drop, monkeypatch):
    drop("data/a-huge.jsonl", export("ana") * 20)
    monkeypatch.setattr(inbox, "MAX_BYTES", 100)
    assert set(fetch_inbox(params).left) == {"data/a-huge.jsonl"}
    assert names(bucket) == ["data/a-huge.jsonl"]


@pytest.mark.parametrize("name", [".", "..", "...", ".csv", "a.", "x" * 1018, "ü" * 500 + ".jsonl", "a." + "y" * 900])
def test_no_name_of_an_object_keeps_the_others_from_coming(params, bucket, drop, name):
    drop(name, BAD)
    drop("monday.jsonl", export("ana"))
    found = fetch_inbox(params)
    assert set(found.rejected) == {name} and set(found.taken) == {"monday.jsonl"}
    there = contents(bucket)
    assert max(len(key.encode()) for key in there) <= 1024
    assert sorted(there.values())[1:] != [] and BAD in there.values() and f"inbox/{name}" not in there


def test_an_inbox_above_something_else_of_the_project_is_refused_before_anything_moves(project, params, bucket, drop):
    drop("monday.jsonl", export("ana"))
    project.edit(publish__to=f"s3://{bucket.name}/inbox/releases")
    with pytest.raises(UserError, match="overlap"):
        fetch_inbox(load_params(project.folder / "params.yaml"))
    assert names(bucket) == ["monday.jsonl"]


def test_the_command_says_what_came(params, drop):
    from typer.testing import CliRunner

    from flows.cli.main import app

    drop("monday.jsonl", export("ana"))
    drop("tuesday.jsonl", BAD)
    result = CliRunner().invoke(app, ["feedback", "fetch"])
    assert "monday.jsonl: 6 new judgements" in result.output and "1 taken, 1 rejected" in result.output, result.output


@pytest.mark.parametrize(
    "answered_at", ["0001-01-01T00:00:00+01:00", "46350.38", "20261124", "2026-11-24T09:12:07", "2026-02-30T00:00:00Z"]
)
def test_a_time_that_cannot_be_read_is_rejected_and_keeps_no_other_from_coming(params, drop, answered_at):
    row = vote(CANDIDATES[0], "yes", "cara", answered_at=answered_at)
    drop("a-bad.jsonl", json.dumps(row).encode())
    drop("b-good.jsonl", export("ana"))
    found = fetch_inbox(params)
    assert "line 1: the time" in found.rejected["a-bad.jsonl"] and set(found.taken) == {"b-good.jsonl"}
    assert len(stored()) == 6


def test_an_error_that_nobody_foresaw_rejects_one_file(params, drop, monkeypatch):
    def prepare(file, *arguments):
        if file.name == "a-bad.jsonl":
            raise OverflowError("date value out of range")
        return prepare_import(file, *arguments)

    prepare_import = inbox.prepare_import
    monkeypatch.setattr(inbox, "prepare_import", prepare)
    drop("a-bad.jsonl", export("cara"))
    drop("b-good.jsonl", export("ana"))
    found = fetch_inbox(params)
    assert "OverflowError" in found.rejected["a-bad.jsonl"] and set(found.taken) == {"b-good.jsonl"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "picture,annotator,answer\n", "no rows"),
        ("a.json", "<!DOCTYPE html><title>Sorry</title>", "HTML"),
        ("a.json", '[{"id": 1, "data": {"image": "badge-01"}, "annotations": []}]', "without an answer"),
    ],
)
def test_a_file_of_which_nothing_counts_is_rejected_with_its_reason(params, bucket, drop, name, content, reason):
    drop(name, content.encode())
    found = fetch_inbox(params)
    assert reason in found.rejected[name] and not found.taken
    (key,) = (key for key in contents(bucket) if key.endswith(REASON))
    assert reason.encode() in contents(bucket)[key]
