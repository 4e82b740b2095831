"""The rules of the house that no single module can break unseen."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.projects import REPOSITORY

CODE = [*sorted((REPOSITORY / "hfi_core").rglob("*.py")), *sorted((REPOSITORY / "flows").rglob("*.py"))]
EVERY = [
    *CODE,
    *sorted((REPOSITORY / "tests").rglob("*.py")),
    *sorted((REPOSITORY / "benchmarks").rglob("*.py")),
]
WORLD = REPOSITORY / "hfi_core" / "embedded"


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path, strings: bool = True) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function, and every module in an import string."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}, line {node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif strings and isinstance(node, ast.Constant) and str(node.value).startswith("hfi_core."):
            yield node.value.replace(":", ".")


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path)}


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def users_of(package: str, files: list[Path]) -> set[str]:
    return {name(path) for path in files if any(inside(module, package) for module in imported(path))}


def test_the_science_knows_nothing_of_the_plumbing():
    plumbing = {"prefect", "mlflow", "dvc", "flows", "boto3", "typer", "rich", "fastapi"}
    for path in CODE:
        if path.is_relative_to(REPOSITORY / "hfi_core"):
            web = {"fastapi"} if path.is_relative_to(REPOSITORY / "hfi_core" / "annotation") else set()
            assert not roots(path) & (plumbing - web), name(path)


def test_nothing_is_pickled():
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    calls = {("torch", "load"), ("torch", "save"), ("np", "load"), ("np", "save"), ("yaml", "unsafe_load")}
    for path in CODE:
        assert not roots(path) & forbidden, name(path)
        found = {
            (node.value.id, node.attr)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        assert not found & calls, name(path)


def test_no_stage_imports_another():
    for path in (REPOSITORY / "hfi_core" / "stages").glob("*.py"):
        others = [module for module in imported(path) if inside(module, "hfi_core.stages")]
        assert not others, name(path)


def test_only_the_simulated_crowd_and_the_judges_registry_know_the_world():
    outside = [path for path in CODE if not path.is_relative_to(WORLD)]
    assert users_of("hfi_core.embedded", outside) == {
        "hfi_core/models/weights.py",
        "hfi_core/plugins.py",
        "hfi_core/stages/simulate.py",
    }


def test_only_the_crowd_reads_the_annotators_judge():
    callers = {"locate_weights", "locate_pinned", "_locate_usable", "_check_weights"}
    readers = set()
    for path in CODE:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                texts = [value.value for value in values if isinstance(value, ast.Constant)]
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if "annotators" in texts and called in callers:
                    readers.add(name(path))
    # The first two for its digest only.
    assert readers == {"flows/doctor/machine.py", "flows/project/pins.py", "hfi_core/stages/simulate.py"}
    assert users_of("hfi_core.embedded.simulated_crowd", CODE) == {"hfi_core/stages/simulate.py"}


def test_only_the_evaluation_asks_a_judge():
    outside = [path for path in CODE if not path.is_relative_to(REPOSITORY / "hfi_core" / "judges")]
    loaders = users_of("hfi_core.judges.base.load_judge", outside) | users_of("hfi_core.judges.load_judge", outside)
    assert loaders == {"hfi_core/evaluation/judging.py"}
    # plugins.py has the judges' import strings; the embedded judge is one of them.
    assert users_of("hfi_core.judges", outside) == {
        "hfi_core/embedded/judge.py",
        "hfi_core/evaluation/judging.py",
        "hfi_core/evaluation/probe_fitting.py",
        "hfi_core/plugins.py",
    }


def test_what_learns_never_sees_who_judges():
    stages = ["stages/reward.py", "stages/invert.py", "stages/distill.py", "stages/attack.py"]
    paths = [REPOSITORY / "hfi_core" / stage for stage in stages]
    for room in ("compute", "erasure", "inversion", "reward"):
        paths += (REPOSITORY / "hfi_core" / room).glob("*.py")
    seen: set[Path] = set()
    while paths:
        path = paths.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imported(path, strings=False):
            for depth in range(2, module.count(".") + 2):
                place = REPOSITORY.joinpath(*module.split(".")[:depth])
                paths += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists()]
    code = [path for path in seen if path.name != "__init__.py"]
    judging = {
        name(path) for path in code if "judges" in path.relative_to(REPOSITORY).parts or path.is_relative_to(WORLD)
    }
    assert judging == set()


@pytest.mark.parametrize(
    "module",
    [
        "hfi_core.params",
        "hfi_core.pipeline.graph",
        "hfi_core.candidates.manifest",
        "hfi_core.models.weights",
        "hfi_core.judges",
        "flows.cli.main",
        "flows.orchestration.plan",
    ],
)
@pytest.mark.integration
def test_what_every_command_imports_costs_no_heavy_import(module):
    heavy = ("torch", "transformers", "diffusers", "prefect", "mlflow", "dvc", "pandas", "matplotlib", "scipy")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert found.stdout.strip() == "[]"


def test_no_file_has_a_name_that_says_nothing():
    vague = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "managers"}
    assert not [name(path) for path in EVERY if path.stem in vague or vague & set(path.parent.parts[-1:])]


def test_no_file_is_two_ideas_long():
    assert {name(path): n for path in EVERY if (n := len(path.read_text().splitlines())) > 400} == {}


def test_everything_public_says_what_it_is():
    silent = []
    for path in CODE:
        module = tree(path)
        if module.body and not ast.get_docstring(module):
            silent.append(name(path))
        for node in module.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                silent.append(f"{name(path)}: {node.name}")
    assert silent == []


def test_no_test_is_marked_as_expected_to_fail():
    marked = [name(path) for path in EVERY if "xfail" in path.read_text() and path != Path(__file__)]
    assert marked == []
