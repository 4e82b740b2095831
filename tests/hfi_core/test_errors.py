"""Errors in one line, what caused them, and long lists cut short."""

import pytest

from hfi_core.errors import causes, first_line, listed


@pytest.mark.parametrize(
    ("error", "line", "line_with_type"),
    [
        (TimeoutError(), "TimeoutError", "TimeoutError"),
        (OSError(" \n"), "OSError", "OSError"),
        (ValueError("\n  not a number\nat line 3"), "not a number", "ValueError: not a number"),
    ],
)
def test_the_first_line_of_an_error_without_text_is_its_type(error, line, line_with_type):
    assert first_line(error) == line
    assert first_line(error, with_type=True) == line_with_type


def test_causes_follow_what_was_raised_from_an_error_and_what_was_raised_while_it_was_handled():
    try:
        try:
            try:
                raise OSError("first")
            except OSError:
                raise ValueError("while it was handled")  # noqa: B904
        except ValueError as error:
            raise RuntimeError("from it") from error
    except RuntimeError as error:
        assert [str(cause) for cause in causes(error)] == ["from it", "while it was handled", "first"]


@pytest.mark.parametrize(
    ("items", "options", "text"),
    [
        ("abc", {}, "a, b, c"),
        ("abcd", {"max_items": 3}, "a, b, c and 1 more"),
        ("", {}, ""),
        ("abcd", {"max_items": 2, "as_lines": True}, "  a\n  b\n  and 2 more"),
        ("ab", {"total": 9}, "a, b and 7 more"),
    ],
)
def test_a_list_names_the_first_items_and_counts_the_rest(items, options, text):
    assert listed(list(items), **options) == text
