"""Cells of a table that no spreadsheet takes for a formula, and that come back as they were.

A cell beginning with = + - @ or a control character is run as a formula by spreadsheets (OWASP, "CSV Injection").
Such a cell gets an apostrophe before it, which spreadsheets show as text.
"""

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_MARK = "'"


def neutral(text: str | None) -> str:
    """The text as a cell; nothing is an empty cell, and an empty text a lone apostrophe."""
    if text is None:
        return ""
    if not text or text[0] in _FORMULA or _is_marked(text):
        return _MARK + text
    return text


def restored(cell: str) -> str | None:
    """What `neutral` was given."""
    if not cell:
        return None
    return cell[1:] if _is_marked(cell) else cell


def _is_marked(cell: str) -> bool:
    return cell.startswith(_MARK) and (len(cell) == 1 or cell[1] in _FORMULA or cell[1] == _MARK)
