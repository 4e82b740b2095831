"""Which room may import which, and which library lives where. Every import counts: in functions and for types, too."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.projects import REPOSITORY

FLOORS = {
    "hfi_core": (
        {"progress", "secrets", "prompts", "plugins", "metrics"},
        {"errors"},
        {"io"},
        {"params"},
        {"candidates", "compute"},
        {"feedback", "models", "pipeline"},
        {"judges", "reward"},
        {"inversion"},
        {"erasure"},
        {"attacks"},
        {"evaluation", "embedded"},
        {"report"},
        {"stages"},
    ),
    "hfi_core.annotation": ({"settings", "content"}, {"service", "security"}, {"routes"}, {"app"}),
    "flows": (
        {"runtime", "storage"},
        {"versioning"},
        {"project", "execution", "serving"},
        {"tracking", "estimation"},
        {"releases"},
        {"lineage", "orchestration"},
        {"feedback"},
        {"doctor", "safeguard", "maintenance", "promotions", "reevaluation"},
        {"cli"},
    ),
}
"""The rooms of each package from the ground up. A room imports itself and rooms on lower floors."""

SERVED_BY_THE_ANNOTATION_SERVER = {"candidates", "feedback", "metrics", "io", "params", "errors"}
"""What `hfi_core.annotation` may import of `hfi_core`."""

LIBRARIES = {
    "dvc": {"flows/versioning", "flows/doctor"},
    "boto3": {"flows/storage"},
    "botocore": {"flows/storage", "flows/doctor", "flows/feedback"},
    "mlflow": {"flows/tracking", "flows/releases", "flows/lineage", "flows/doctor"},
    "prefect": {
        "flows/orchestration", "flows/execution", "flows/doctor",
        "flows/safeguard.py", "flows/maintenance.py", "flows/promotions.py", "flows/reevaluation.py",
    },
    "ray": {"flows/execution"},
    "accelerate": {"flows/execution"},
    "typer": {"flows/cli"},
    "rich": {"flows/cli", "flows/runtime"},
    "fastapi": {"hfi_core/annotation", "flows/serving"},
    "starlette": {"hfi_core/annotation"},
    "uvicorn": {"flows/serving"},
    "sqlalchemy": {"hfi_core/feedback", "hfi_core/annotation", "flows/doctor"},
    "alembic": {"hfi_core/feedback"},
    "matplotlib": {"hfi_core/report"},
    "diffusers": {"hfi_core/models", "hfi_core/embedded", "flows/releases"},
    "transformers": {"hfi_core/models", "hfi_core/judges", "hfi_core/embedded"},
    "torch": {
        "hfi_core/compute", "hfi_core/io", "hfi_core/models", "hfi_core/reward", "hfi_core/inversion",
        "hfi_core/erasure", "hfi_core/attacks", "hfi_core/evaluation", "hfi_core/judges", "hfi_core/embedded",
        "hfi_core/stages",
        "flows/releases", "flows/execution", "flows/estimation", "flows/doctor",
    },
}  # fmt: skip
"""The rooms that may import a library: a back end is used in few rooms."""

WIDEST = 25
"""Files in one folder, `__init__.py` aside."""


def _files() -> list[Path]:
    return sorted(path for package in ("hfi_core", "flows") for path in (REPOSITORY / package).rglob("*.py"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


@cache
def _imports() -> dict[str, frozenset[str]]:
    """The modules of ours that each module imports, anywhere in its file."""
    known = {_module(path): path for path in _files()}
    return {
        module: frozenset(
            name if (name := f"{node.module}.{alias.name}") in known else node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module in known
            for alias in node.names
        )
        - {module}
        for module, path in known.items()
    }


def _room(module: str) -> tuple[str, str]:
    """The package whose floors count, and the room in it ("" for the package itself)."""
    package, *rooms = module.split(".")
    if rooms[:1] == ["annotation"]:
        package, rooms = "hfi_core.annotation", rooms[1:]
    return package, rooms[0] if rooms else ""


def _arrows() -> Iterator[tuple[str, str]]:
    """Every import that leaves its room."""
    for module, targets in _imports().items():
        yield from ((module, target) for target in sorted(targets) if _room(module) != _room(target))


def _floor(package: str, room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS[package]) if room in rooms)


def test_every_file_has_a_room():
    for path in _files():
        package, room = _room(_module(path))
        assert not room or any(room in rooms for rooms in FLOORS[package]), path


def test_imports_go_down_only():
    up = []
    for module, target in _arrows():
        (package, room), (other, lower) = _room(module), _room(target)
        # A package's own __init__ may offer what its rooms hold: it is above them all.
        if package == other and room and _floor(package, room) <= _floor(other, lower):
            up.append(f"{module} -> {target}")
    assert up == []


def test_the_library_does_not_know_the_plumbing():
    assert [arrow for arrow in _arrows() if arrow[0].startswith("hfi_core") and arrow[1].startswith("flows")] == []


def test_the_annotation_server_stands_on_feedback_alone():
    for module, target in _arrows():
        (package, _), (other, room) = _room(module), _room(target)
        if package == "hfi_core.annotation" and other != package:
            assert room in SERVED_BY_THE_ANNOTATION_SERVER, f"{module} -> {target}"
        if other == "hfi_core.annotation" and package == "hfi_core":
            pytest.fail(f"{module} -> {target}: the library does not know the annotation server")


def test_only_stages_know_the_pipeline_and_nobody_knows_the_stages():
    for module, target in _arrows():
        if module.startswith("hfi_core") and _room(target) == ("hfi_core", "pipeline"):
            assert _room(module) == ("hfi_core", "stages"), f"{module} -> {target}"
        assert _room(target) != ("hfi_core", "stages"), f"{module} -> {target}"


def test_no_files_import_each_other_in_a_circle():
    imports, done, path = _imports(), set(), []

    def follow(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for target in imports.get(module, ()):
            follow(target)
        done.add(path.pop())

    for module in imports:
        follow(module)


@cache
def _libraries() -> dict[Path, frozenset[str]]:
    """The first part of every name that a file imports, anywhere in it."""
    return {
        path: frozenset(
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in _names(node)
        )
        for path in _files()
    }


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if node.module else []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_has_its_rooms(library):
    importing = [path for path, libraries in _libraries().items() if library in libraries]
    rooms = {"/".join(path.relative_to(REPOSITORY).parts[:2]) for path in importing}
    assert rooms and rooms <= LIBRARIES[library]


def test_no_folder_is_a_corridor():
    folders = {path.parent for path in _files()}
    wide = {folder: count for folder in folders if (count := len(set(folder.glob("*.py"))) - 1) > WIDEST}
    assert wide == {}


def test_every_room_says_what_belongs_there():
    for folder in {path.parent for path in _files()}:
        room = folder / "__init__.py"
        assert room.exists() and ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))), folder


def test_the_paths_of_a_project_are_spelled_in_one_file():
    fixed = {"params.yaml", "operations.yaml", "dvc.yaml", "dvc.lock", ".hfi", "reports/evaluation.json"}
    spelled = {}
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Path"
            if called and node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value in fixed:
                spelled[f"{path.relative_to(REPOSITORY)}:{node.lineno}"] = node.args[0].value
    assert {place.split(":")[0] for place in spelled} == {"hfi_core/pipeline/layout.py"}, spelled
