"""`hfi sample` loses no picture, knows the project's tokens, and says what of a prompt was not read."""

from pathlib import Path

import pytest
import torch

from flows.cli.sample import sample
from hfi_core.errors import UserError
from hfi_core.inversion.tokens import save_token


@pytest.fixture
def in_project(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    return project


def token(name: str, width: int) -> None:
    save_token(Path("tokens/badge") / name.strip("<>").rpartition("-")[2], name, torch.randn(2, width))


def draw(*prompts: str, seed: int = 0, out: str = "samples") -> dict[str, bytes]:
    """Draw with the base model; every picture that the folder then holds."""
    sample("base", list(prompts), seed=seed, out=Path(out))
    return {path.name: path.read_bytes() for path in Path(out).iterdir()}


def test_a_second_call_leaves_the_pictures_of_the_first(in_project):
    first = draw("a badge", "a red badge")
    assert sorted(first) == ["base-0-001.png", "base-0-002.png"]
    Path("samples/base-0-notes.png").write_bytes(b"mine")
    both = draw("a ball")
    assert sorted(both.keys() - first.keys()) == ["base-0-003.png", "base-0-notes.png"]
    assert {name: both[name] for name in first} == first and both["base-0-notes.png"] == b"mine"
    Path("samples/base-0-001.png").unlink()
    assert "base-0-004.png" in draw("a ball"), "a number is not given twice"
    assert "base-1-001.png" in draw("a ball", seed=1)


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [("a <bagde-accepted>", "<bagde-accepted>"), ("<badge>", "<badge>"), ("a <badge-accepted> <other>", "<other>")],
)
def test_an_unknown_token_is_refused_and_the_known_are_named(in_project, prompt, unknown):
    with pytest.raises(UserError, match=f"no token {unknown}; there are: none yet; `hfi run --until invert`"):
        draw(prompt.replace("<badge-accepted> ", ""))
    token("<badge-accepted>", 64)
    with pytest.raises(UserError, match=f"no token {unknown}; there are: <badge-accepted>"):
        draw("a badge", prompt)
    assert not Path("samples").exists()


@pytest.mark.parametrize("prompt", ["2 < 3", "a < badge-accepted >", "<3", "->"])
def test_brackets_that_name_no_token_are_characters(in_project, prompt):
    assert draw(prompt)


def test_a_token_of_the_project_is_drawn_by_its_vectors(in_project):
    token("<badge-accepted>", 64)
    first = draw("a <badge-accepted>")
    token("<badge-accepted>", 64)
    second = draw("a <badge-accepted>")
    assert first["base-0-001.png"] == second["base-0-001.png"] != second["base-0-002.png"]


def test_a_prompt_whose_end_was_not_read_is_warned_of(in_project, capsys):
    draw("a badge", "a badge " * 60 + "on a green boat")
    captured = capsys.readouterr()
    output = " ".join((captured.out + captured.err).split())
    assert output.count("did not read its end") == 1
    assert "base-0-002.png: the prompt is too long" in output and "on a green boat'" in output


def test_a_seed_that_torch_cannot_take_is_refused(fake_project):
    for seed in (-1, 2**63, 2**64):
        assert "--seed" in fake_project.hfi("sample", "base", "a badge", "--seed", str(seed), code=2).stderr
