"""Create a project: its own files only, because its code is the installed package. They come from `template/`."""

import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

import yaml

from flows.project import presets, schema
from flows.versioning import dvc_yaml
from flows.versioning.git import git, try_git
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.pipeline import layout
from hfi_core.pipeline.layout import PARAMS

TEMPLATE = Path(str(files("flows.project"))) / "template"
"""Files that every project gets; only the project's name, preset and version differ."""
_DOT = "dot-"
"""Prefix of hidden files in the template, because packaging ignores names that begin with a dot."""


def create_project(folder: Path, preset: str) -> list[Path]:
    """Write a project's files into a folder and stage them in git; return their paths.

    The folder may be new, or hold other files.

    Raises UserError, with nothing written, if the preset is unknown, git is missing, or one of the files exists.
    """
    presets.require_known(preset)
    if shutil.which("git") is None:
        raise UserError("git is not on the PATH, and a project is a git repository. To fix this: install git.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder.")
    content = _content(folder.resolve().name, preset)
    existing = [path for path in content if os.path.lexists(folder / path)]
    if existing:
        raise UserError(f"{folder} already holds {', '.join(map(str, existing))}; nothing was written.")
    folder.mkdir(parents=True, exist_ok=True)
    if try_git("rev-parse", "--git-dir", folder=folder) is None:
        git("init", "--quiet", folder=folder)
    # The params come last, because they mark a folder as a project.
    for path in sorted(content, key=lambda path: path == PARAMS):
        with atomic_file(folder / path) as temporary:
            temporary.write_text(content[path], encoding="utf-8")
    git("add", "--", *map(str, content), folder=folder)
    return sorted(content)


def _content(name: str, preset: str) -> Mapping[Path, str]:
    values = {"name": name, "preset": preset, "version": version("hfi-pipeline")}
    return {target: fill_template(source, values) for source, target in _template_files()} | {
        **presets.read_preset(preset),
        layout.DVC_YAML: dvc_yaml.render(presets.load_preset(preset)),
        **{path: schema.schema_text(model) for path, model in schema.SCHEMAS.items()},
    }


def _template_files() -> Iterator[tuple[Path, Path]]:
    """Yield each file of the template, and its path in a project."""
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file():
            parts = path.relative_to(TEMPLATE).parts
            yield path, Path(*("." + part.removeprefix(_DOT) if part.startswith(_DOT) else part for part in parts))


def fill_template(path: Path, values: Mapping[str, str]) -> str:
    """Return the text of a template with its values; in YAML each is quoted where it needs to be (`'2026'`)."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        return _YAML_VALUE.sub(lambda match: _yaml_scalar(Template(match[0]).substitute(values)), text)
    return Template(text).substitute(values) if path.suffix == ".md" else text


_YAML_VALUE = re.compile(r"(?<=: )\S*\$\w+\S*$", re.MULTILINE)
"""A value of the template that contains a placeholder."""


def _yaml_scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=math.inf).removesuffix("...\n").removesuffix("\n")
