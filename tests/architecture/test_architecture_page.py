"""The documentation names files and folders that exist."""

import re
import subprocess

import pytest

from tests.support.projects import REPOSITORY

PAGES = [
    REPOSITORY / name
    for name in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if (REPOSITORY / name).exists() and name not in ("CHANGELOG.md", "MIGRATION.md")
]
_PATH = re.compile(r"(?<![\w/.-])(?:hfi_core|flows|tests|benchmarks|docs|examples)/[\w./-]*\w")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_path_of_ours_that_a_page_names_exists(page):
    named = set(_PATH.findall(page.read_text(encoding="utf-8")))
    placeholders = {path for path in named if re.search(r"[A-Z]{4,}", path)}  # flows/cli/NAME.py
    assert [
        path
        for path in sorted(named - placeholders)
        if not any((folder / path).exists() for folder in (REPOSITORY, page.parent))
    ] == []


def test_the_architecture_page_names_every_room():
    page = (REPOSITORY / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    rooms = [
        folder.relative_to(REPOSITORY).as_posix()
        for package in ("hfi_core", "flows")
        for folder in (REPOSITORY / package).iterdir()
        if (folder / "__init__.py").exists()
    ]
    assert rooms and [room for room in rooms if f"`{room}`" not in page] == []
