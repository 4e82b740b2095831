"""`hfi params upgrade`: lists what an older params.yaml lacks and what is gone, and adds keys without other changes."""

import re

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import app
from flows.project.upgrade import add_missing_keys, compare_keys
from hfi_core.errors import UserError
from hfi_core.params import load_params
from tests.support.projects import REPOSITORY

NOW = (REPOSITORY / "params.yaml").read_text()


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A project whose params.yaml was written before candidates and some other keys were what they are."""
    text = re.sub(r"candidates:\n(  .*\n)+", "", NOW)
    text = text.replace("  retention_days: null\n", "").replace("    contrast: 0.5\n", "")
    text = text.replace("    feedback: binary\n", "    feedback: binary\n    pictures: 64  # of old\n")
    assert text.count("\n") == NOW.count("\n") - 5
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "params.yaml"


def upgrade(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["params", "upgrade", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_every_missing_key_is_named_with_its_default_and_every_key_that_is_gone(old):
    lines = upgrade().splitlines()
    assert 'candidates: missing; embedded has {"drawn": {"badge": 64}, "imported": {}}' in lines
    assert "annotation.retention_days: missing; embedded has null" in lines
    assert "removals.anchored.contrast: missing; embedded has 0.5" in lines
    assert any(line.startswith("concepts.badge.pictures: gone") for line in lines)


def test_without_write_the_file_stays_as_it_is(old):
    before = old.read_bytes()
    upgrade()
    assert old.read_bytes() == before


def test_write_adds_what_is_missing_and_touches_no_other_line(old):
    before = old.read_text().splitlines()
    upgrade("--write")
    after = old.read_text().splitlines()
    assert [line for line in after if line in before] == before
    assert compare_keys(old)[0].missing == []
    upgrade("--write")
    assert old.read_text().splitlines() == after
    old.write_text(re.sub(r"    pictures: 64  # of old\n", "", old.read_text()))
    assert load_params(old) == load_params(REPOSITORY / "params.yaml")


def test_a_comment_before_the_next_key_stays_before_it(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(NOW.replace("  guidance: 3.0\n\n", "\n# What people judge.\n"))
    add_missing_keys(path, compare_keys(path)[0].missing)
    assert "# What people judge.\nconcepts:" in path.read_text()
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(NOW)


def test_defaults_of_a_named_part_are_those_of_another_with_that_key(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(NOW.replace("  anchored:\n", "  mine:\n").replace("row: anchored", "row: mine"))
    path.write_text(path.read_text().replace("    reinvert_steps: 100\n", ""))
    (entry,) = compare_keys(path)[0].missing
    assert entry.key == ("removals", "mine", "reinvert_steps") and entry.defaults == (100,)


@pytest.mark.parametrize(("source", "expected"), [("models/mine", "sd15"), ("models/my-SDXL", "sdxl")])
def test_a_model_of_one_s_own_gets_the_defaults_of_the_preset_for_it(tmp_path, source, expected):
    path = tmp_path / "params.yaml"
    text = NOW.replace("  source: embedded\n", f"  source: {source}\n", 1)
    path.write_text(text.replace("  vectors: 2\n", "", 1))
    changes, preset = compare_keys(path)
    assert preset == expected and [entry.defaults for entry in changes.missing] == [(4,)]


def test_nothing_to_do_is_said(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(NOW)
    monkeypatch.chdir(tmp_path)
    assert "has the keys of this version" in upgrade("--write")
    assert (tmp_path / "params.yaml").read_text() == NOW


@pytest.mark.parametrize(("content", "preset"), [("- a\n", None), (NOW, "sd3")])
def test_no_mapping_and_no_such_preset_are_refused(tmp_path, content, preset):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError):
        compare_keys(path, preset)
