"""`hfi params upgrade`: lists what an older params.yaml lacks and what is gone, and adds keys without other changes."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import app
from flows.project.upgrade import add_missing_keys, compare_keys, move_sections
from hfi_core.errors import UserError
from hfi_core.params import load_params
from tests.support.projects import REPOSITORY

NOW = (REPOSITORY / "params.yaml").read_text()
OPERATIONS = (REPOSITORY / "operations.yaml").read_text()
SECTIONS = ["annotation", "publish", "versioning", "tracking"]


def write(folder: Path, science: str = NOW, operations: str | None = OPERATIONS) -> Path:
    """A project's settings; the path of its params.yaml."""
    shutil.copytree(REPOSITORY / "prompts", folder / "prompts", dirs_exist_ok=True)
    (folder / "params.yaml").write_text(science)
    if operations is not None:
        (folder / "operations.yaml").write_text(operations)
    return folder / "params.yaml"


def contents(path: Path) -> list[str]:
    """The bytes of both files, as text."""
    return [file.read_text() for file in (path, path.with_name("operations.yaml"))]


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A project whose params.yaml was written before candidates and some other keys were what they are."""
    candidates = re.search(r"^candidates:\n(  .*\n)+", NOW, re.M)[0]
    text = NOW.replace(candidates, "")
    text = text.replace("    contrast: 1.0\n", "")
    text = text.replace("    feedback: binary\n", "    feedback: binary\n    pictures: 64  # of old\n")
    assert text.count("\n") == NOW.count("\n") - candidates.count("\n")
    monkeypatch.chdir(tmp_path)
    return write(tmp_path, text, OPERATIONS.replace("  retention_days: null\n", ""))


def upgrade(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["params", "upgrade", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_every_missing_key_is_named_with_its_default_and_every_key_that_is_gone(old):
    lines = upgrade().splitlines()
    assert 'candidates: missing; embedded has {"drawn": {"badge": 64}, "imported": {}}' in lines
    assert "annotation.retention_days: missing; embedded has null" in lines
    assert "removals.anchored.contrast: missing; embedded has 1.0" in lines
    assert any(line.startswith("concepts.badge.pictures: gone") for line in lines)


def test_without_write_the_file_stays_as_it_is(old):
    before = contents(old)
    upgrade()
    assert contents(old) == before


def test_write_adds_what_is_missing_and_touches_no_other_line(old):
    before = contents(old)
    upgrade("--write")
    after = contents(old)
    for text, earlier in zip(after, before, strict=True):
        lines = earlier.splitlines()
        assert [line for line in text.splitlines() if line in lines] == lines
    assert compare_keys(old)[0].missing == []
    upgrade("--write")
    assert contents(old) == after
    old.write_text(re.sub(r"    pictures: 64  # of old\n", "", old.read_text()))
    assert load_params(old) == load_params(REPOSITORY / "params.yaml")


def test_a_comment_before_the_next_key_stays_before_it(tmp_path):
    path = write(tmp_path, NOW.replace("  least: 40\n\n", "\n# How v* is learned.\n"))
    add_missing_keys(path, compare_keys(path)[0].missing)
    assert "# How v* is learned.\ninvert:" in path.read_text()
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(NOW)


def test_defaults_of_a_named_part_are_those_of_another_with_that_key(tmp_path):
    path = write(tmp_path, NOW.replace("  anchored:\n", "  mine:\n").replace("row: anchored", "row: mine"))
    path.write_text(path.read_text().replace("    reinvert_steps: 50\n", ""))
    (entry,) = compare_keys(path)[0].missing
    assert entry.key == ("removals", "mine", "reinvert_steps") and entry.defaults == (50,)


@pytest.mark.parametrize(("source", "expected"), [("models/mine", "sd15"), ("models/my-SDXL", "sdxl")])
def test_a_model_of_one_s_own_gets_the_defaults_of_the_preset_for_it(tmp_path, source, expected):
    text = NOW.replace("  source: embedded\n", f"  source: {source}\n", 1)
    path = write(tmp_path, text.replace("  vectors: 1\n", "", 1))
    changes, preset = compare_keys(path)
    assert preset == expected and [entry.defaults for entry in changes.missing] == [(4,)]


def test_nothing_to_do_is_said(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "has the keys of this version" in upgrade("--write")
    assert (tmp_path / "params.yaml").read_text() == NOW


@pytest.mark.parametrize(("content", "preset"), [("- a\n", None), (NOW, "sd3")])
def test_no_mapping_and_no_such_preset_are_refused(tmp_path, content, preset):
    path = write(tmp_path, content)
    with pytest.raises(UserError):
        compare_keys(path, preset)


BEFORE = NOW.replace("\nreward:\n", "\n" + OPERATIONS.split("\npublish:")[0].split("means.\n")[1] + "\nreward:\n")
BEFORE += "\n# Who gets releases.\npublish:" + OPERATIONS.split("\npublish:")[1].replace("null", "null  # none", 1)
"""params.yaml as it was when it held the operations, too, with comments of the user's."""


def test_the_sections_of_operations_move_with_their_comments(tmp_path, monkeypatch):
    path = write(tmp_path, BEFORE, None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"annotation, publish.* belong in \S*operations.yaml.*params upgrade --write"):
        load_params(path)
    assert [f"{key}: belongs in operations.yaml now" for key in SECTIONS] == upgrade().splitlines()[:4]
    assert path.read_text() == BEFORE
    upgrade("--write")
    science, operations = contents(path)
    assert science == NOW
    assert "# Who gets releases.\npublish:\n" in operations and "endpoint: null  # none\n" in operations
    assert load_params(path) == load_params(REPOSITORY / "params.yaml")
    lines = [line for line in (science + operations).splitlines() if line]
    header = OPERATIONS.split("annotation:")[0].splitlines()
    assert sorted(lines) == sorted([line for line in BEFORE.splitlines() if line] + header)
    assert "has the keys of this version" in upgrade("--write")


def test_a_move_that_stopped_half_way_is_finished(tmp_path):
    path = write(tmp_path, BEFORE)
    move_sections(path, compare_keys(path)[0].moved)
    assert contents(path) == [NOW, OPERATIONS]


@pytest.mark.parametrize(
    ("science", "operations", "words"),
    [
        (BEFORE, OPERATIONS.replace("experiment: emblems", "experiment: others"), "hold tracking with other values"),
        (BEFORE.replace("drawn: {", "drawn: &d {").replace("guidelines: {}", "guidelines: *d"), None, "yourself"),
        ("{seed: 0, publish: {to: published}}\n", None, "yourself"),
    ],
    ids=["both", "an anchor of another section", "one line"],
)
def test_a_move_that_would_lose_something_is_refused(tmp_path, science, operations, words):
    if "&d {" in science:  # an alias must come after its anchor
        parts = science.split("\nannotation:")
        end = parts[1].index("\nreward:")
        science = parts[0] + parts[1][end:] + "\nannotation:" + parts[1][:end]
    path = write(tmp_path, science, operations)
    before = path.read_text()
    with pytest.raises(UserError, match=words):
        move_sections(path, [key for key in SECTIONS if f"{key}:" in science])
    assert path.read_text() == before
