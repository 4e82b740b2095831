"""The table that `hfi report` prints."""

from pathlib import Path

import pytest

from flows.cli.report import comparison_table
from hfi_core.io.json_files import write_json


def write_evaluation(names: list[str]) -> None:
    """An evaluation of the four roles for each row, in the present folder."""
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    roles = ("broad", "precise", "neighbours", "unrelated")
    figures = ("flagged", "kept", "correct", "variety", "drift", "clip_score")
    metrics = {f"{name}@{role}": figure for name in figures for role in roles}
    rows = [{"row": name, "metrics": metrics} for name in names]
    write_json(Path("reports/evaluation.json"), {"rows": rows, "suites": {role: role for role in roles}})


@pytest.mark.parametrize("count", [2, 8, 9, 66])
def test_every_row_can_be_read_however_many_there_are(tmp_path, monkeypatch, count):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    names = [f"row-{number}" for number in range(count)]
    write_evaluation(names)
    table = comparison_table()
    first = [column.header for column in table.columns]
    if count <= 8:
        assert first == ["row", *names]
    else:
        assert len(first) == 4 and list(table.columns[0].cells) == names
