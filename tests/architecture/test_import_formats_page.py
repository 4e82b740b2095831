"""The page on import formats says what is so: its tables are imported, its options and formats exist."""

import re

import pytest
from typer.main import get_command

from flows.cli.main import app
from hfi_core.feedback.formats.registry import FORMATS
from tests.support.format_imports import bring, stored
from tests.support.judging import candidate
from tests.support.projects import REPOSITORY

PAGE = (REPOSITORY / "docs/reference/import-formats.md").read_text(encoding="utf-8")
TABLES = re.findall(r"```csv\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (TABLES[0], {}),
        (
            TABLES[1],
            {
                "columns": {"picture": "file", "answer": "verdict", "annotator": "who"},
                "concept": "badge",
                "yes": ("remove",),
                "no": ("keep",),
            },
        ),
    ],
)
def test_the_tables_of_the_page_are_imported_as_it_says(table, options, tmp_path):
    named = [candidate(name, f"{at:064x}") for at, name in enumerate(sorted(set(re.findall(r"badge-\w{12}", PAGE))))]
    path = tmp_path / "labels.csv"
    path.write_text(table)
    assert bring(path, tmp_path, badges=named, **options).new == table.count("\n") - 1
    assert {row.answer for row in stored(tmp_path)} <= {"yes", "no"}


def test_the_page_names_every_format_and_every_option():
    import_ = get_command(app).commands["feedback"].commands["import"]
    options = {option for parameter in import_.params for option in parameter.opts if option.startswith("--")}
    named = set(re.findall(r"--[a-z][a-z-]*", PAGE))
    assert options - {"--help"} <= named
    export = get_command(app).commands["feedback"].commands["export"]
    assert named <= options | {option for parameter in export.params for option in parameter.opts}
    assert set(re.findall(r"^\| [^|]+ \| `([a-z][a-z-]+)` \|", PAGE, re.M)) == set(FORMATS)
