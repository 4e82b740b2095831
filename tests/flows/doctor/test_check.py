"""A look that hangs or raises is a finding, and what it found before that counts."""

import time

from flows.doctor.check import Finding, with_timeout
from hfi_core.errors import UserError

FIRST = Finding("first", True, "well")


def test_what_does_not_answer_is_given_up():
    def look():
        yield FIRST
        time.sleep(60)

    began = time.monotonic()
    first, last = with_timeout("server", "Start it.", look, longest=0.2)
    assert first is FIRST and (last.mark, last.told, last.remedy) == ("FAILED", "no answer in 0 s", "Start it.")
    assert time.monotonic() - began < 30


def test_an_error_of_a_library_is_one_line_without_a_password():
    def look():
        yield FIRST
        raise OSError("\nat http://ana:secret@host: refused\nand much more")

    _, last = with_timeout("server", "Start it.", look, needed=False)
    assert (last.mark, last.told) == ("note", "OSError: at http://ana:***@host: refused")


def test_a_user_s_error_is_told_whole():
    def look():
        raise UserError("No bucket.\nMake it.")
        yield

    (finding,) = with_timeout("server", "Start it.", look)
    assert finding.told == "No bucket.\nMake it."
