"""A check that hangs or raises is a finding, and its findings before that count."""

import time

from flows.doctor.check import Finding, check_folder, with_timeout
from hfi_core.errors import UserError

FIRST = Finding("first", True, "well")


def test_what_does_not_answer_is_given_up():
    def check():
        yield FIRST
        time.sleep(60)

    began = time.monotonic()
    first, last = with_timeout("server", "Start it.", check, max_seconds=0.2)
    assert first is FIRST and (last.mark, last.message, last.remedy) == ("FAILED", "no answer in 0 s", "Start it.")
    assert time.monotonic() - began < 30


def test_an_error_of_a_library_is_one_line_without_a_password():
    def check():
        yield FIRST
        raise OSError("\nat http://ana:secret@host: refused\nand much more")

    _, last = with_timeout("server", "Start it.", check, needed=False)
    assert (last.mark, last.message) == ("note", "OSError: at http://ana:***@host: refused")


def test_a_user_s_error_is_shown_whole():
    def check():
        raise UserError("No bucket.\nMake it.")
        yield

    (finding,) = with_timeout("server", "Start it.", check)
    assert finding.message == "No bucket.\nMake it."


def test_a_folder_must_be_one_that_can_be_written_or_created(tmp_path):
    (tmp_path / "file").touch()
    assert check_folder("folder", tmp_path / "not/yet/there").ok
    wrong = check_folder("folder", tmp_path / "file")
    assert not wrong.ok and str(tmp_path / "file") in wrong.message and "permissions" in wrong.remedy
    assert check_folder("folder", tmp_path / "file", "Choose another.").remedy == "Choose another."
