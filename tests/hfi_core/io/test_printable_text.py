import pytest

from hfi_core.io.printable_text import escape_unprintable, remove_unprintable


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Ana Åkers", "Ana Åkers"), ("a\x1b[2Jb\n", "a\\x1b[2Jb\\n"), ("\udcff.png", "\\udcff.png"), ("", "")],
)
def test_a_message_shows_unprintable_characters_as_escapes(text, expected):
    assert escape_unprintable(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" too\x00 dark\n\tand red\x1b ", "too dark\n\tand red"), ("\x00 \n", None), ("", None)],
)
def test_stored_text_loses_unprintable_characters_and_keeps_lines_and_tabs(text, expected):
    assert remove_unprintable(text) == expected
