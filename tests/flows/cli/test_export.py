"""`hfi export` finds the row, and says what is missing."""

from pathlib import Path

import pytest

from flows.cli.export import export
from hfi_core.errors import UserError
from hfi_core.evaluation.measure import build_evaluation
from hfi_core.evaluation.records import read_variants
from hfi_core.io.json_files import read_json, write_json
from hfi_core.progress import no_progress
from tests.support.evaluations import write_row


@pytest.fixture
def evaluated(project, monkeypatch):
    """A project with the pictures and the figures of two rows, in the present folder."""
    project.keep("base", "anchored")
    monkeypatch.chdir(project.folder)
    for row in project.params.removals:
        write_row(Path("evaluation") / row, project.params, row)
    variants = read_variants(Path("evaluation"), list(project.params.removals))
    write_json(Path("reports/evaluation.json"), build_evaluation(project.params, variants, {}, no_progress))
    return project


def test_the_export_lies_in_a_folder_of_the_row(evaluated, capsys):
    export("anchored")
    assert sorted(path.name for path in Path("exports/anchored").iterdir()) == ["imgs", "prompts.csv", "report.json"]
    assert read_json(Path("exports/anchored/report.json"))["timestamp"] > 1.7e9
    export("base", suite=["precise"], out=Path("mine"))
    assert len(list(Path("mine/imgs").iterdir())) == 4
    assert "4 pictures" in capsys.readouterr().out


def test_what_is_missing_is_named_with_the_command_that_makes_it(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    with pytest.raises(UserError, match=r"no row 'anchord'; params\.yaml has base, "):
        export("anchord")
    with pytest.raises(UserError, match="evaluation/anchored is missing. To make it: `hfi run`"):
        export("anchored")
    assert not Path("exports").exists()


def test_git_does_not_see_an_export():
    for ignored in (Path(".gitignore"), Path("flows/project/template/dot-gitignore")):
        text = (Path(__file__).parents[3] / ignored).read_text()
        assert "/exports/" in text.splitlines()
