"""A new project: its own files only, for the code is the installed package. `template/` holds what is copied."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from flows.project import presets, schema
from flows.versioning import dvc_yaml
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.pipeline import layout
from hfi_core.pipeline.layout import PARAMS

TEMPLATE = Path(str(files("flows.project"))) / "template"
"""The files of a project that are the same for each, but for its name."""
_DOT = "dot-"
"""How a hidden file's name begins in the template: packaging passes over hidden files."""


def create_project(folder: Path, preset: str) -> list[Path]:
    """Write a project's files into a folder, new or without any of them, and stage them in git; their paths.

    Raises UserError, before anything is written, for an unknown preset, without git, or where one of them is there.
    """
    presets.require_known(preset)
    if shutil.which("git") is None:
        raise UserError("git is not on the PATH: a project is a git repository. Install git, then try again.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder.")
    content = _content(folder.resolve().name, preset)
    there = [path for path in content if os.path.lexists(folder / path)]
    if there:
        raise UserError(f"{folder} holds {', '.join(map(str, there))} already; nothing was written.")
    folder.mkdir(parents=True, exist_ok=True)
    if _git(folder, "rev-parse", "--git-dir").returncode != 0:
        _must(_git(folder, "init", "--quiet"))
    # Last the params, by which everything knows a project.
    for path in sorted(content, key=lambda path: path == PARAMS):
        with atomic_file(folder / path) as beside:
            beside.write_text(content[path], encoding="utf-8")
    _must(_git(folder, "add", "--", *map(str, content)))
    return sorted(content)


def _content(name: str, preset: str) -> Mapping[Path, str]:
    words = {"name": name, "preset": preset, "version": version("hfi-pipeline")}
    written = {target: _filled(source, words) for source, target in _template_files()}
    return written | {
        PARAMS: presets.read_preset(preset),
        layout.DVC_YAML: dvc_yaml.render(presets.load_preset(preset)),
        schema.SCHEMA: schema.schema_text(),
    }


def _template_files() -> Iterator[tuple[Path, Path]]:
    """Each file of the template, and its path in a project."""
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file():
            parts = path.relative_to(TEMPLATE).parts
            yield path, Path(*("." + part.removeprefix(_DOT) if part.startswith(_DOT) else part for part in parts))


def _filled(path: Path, words: Mapping[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    return Template(text).substitute(words) if path.suffix in (".md", ".yaml") else text


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)


def _must(done: subprocess.CompletedProcess) -> None:
    if done.returncode != 0:
        raise UserError(f"`{' '.join(done.args)}` failed: {done.stderr.strip()}")
