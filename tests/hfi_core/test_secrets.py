"""Passwords in addresses go to no log, message or tracker."""

import pytest

from hfi_core.errors import UserError
from hfi_core.secrets import hide_passwords


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql+psycopg://ana:p@ss:w0rd@host/feedback", "postgresql+psycopg://ana:***@host/feedback"),
        ("at http://u:pw@one/x, then https://v:pw@two", "at http://u:***@one/x, then https://v:***@two"),
        ("https://host/x?access_token=abc&page=2", "https://host/x?access_token=***&page=2"),
        ("postgresql://host/name?password=pw", "postgresql://host/name?password=***"),
    ],
)
def test_passwords_are_hidden(text, expected):
    assert hide_passwords(text) == expected
    assert str(UserError(text)) == expected


@pytest.mark.parametrize("text", ["sqlite:///feedback.db", "http://host:5000/a@b", "at 10:30 ana@example.org", "a=b"])
def test_what_holds_none_stays(text):
    assert hide_passwords(text) == text
