"""`hfi init`: whole projects, and nothing of what was there is touched."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import load_path
from dvc_objects.fs.local import LocalFileSystem

from flows.project import presets
from flows.project.init import TEMPLATE, create_project, fill_template
from hfi_core.errors import UserError
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params import Trained, load_params
from hfi_core.pipeline.graph import STAGES, units_of
from tests.support.flow_fixtures import FakeProject
from tests.support.projects import REPOSITORY


def git(folder, *arguments) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("preset", presets.list_presets())
def test_every_preset_makes_a_project_with_its_files_staged(tmp_path, preset):
    folder = tmp_path / "new"
    written = create_project(folder, preset)
    assert load_params(folder / "params.yaml") == presets.load_preset(preset)
    assert set(git(folder, "ls-files").split()) == {path.as_posix() for path in written}
    assert git(folder, "status", "--porcelain", "--untracked-files=all").count("\n") == len(written)


def test_the_embedded_preset_is_the_repository_s_own_file(tmp_path):
    files = presets.read_preset("embedded")
    assert {path.parts[0] for path in files} == {"params.yaml", "operations.yaml", "prompts"}
    assert files == {path: (REPOSITORY / path).read_text() for path in files}


def test_the_preset_of_the_second_base_model_differs_in_the_world_alone():
    """What one base model shows can be compared with what the other shows."""
    texts = []
    for name, word in (("embedded", "badge"), ("signs", "sign")):
        params = presets.load_preset(name)
        content = params.model_dump(mode="json")
        del content["model"], content["clip"], content["tracking"]["experiment"], content["release"]["model"]
        for part in (content["evaluate"]["judge"], content["feedback"]["simulated"]["crowd"]):
            del part["source"], part["digest"]
        prompts = content["concepts"][word].pop("prompts")
        suites = content["evaluate"]["suites"].values()
        counts = [len(prompts), *(len(suite.pop("prompts")) for suite in suites)]
        texts.append((json.dumps(content).replace(f'"{word}"', '"WORD"'), counts))
    assert texts[0] == texts[1]


def test_the_comparison_differs_from_the_demo_in_rows_attacks_and_what_is_evaluated_and_released():
    demo, comparison = (presets.load_preset(name).model_dump(mode="json") for name in ("embedded", "comparison"))
    differ = {key for key in demo if demo[key] != comparison[key]}
    assert differ == {"removals", "attacks", "evaluate", "release", "tracking"}
    assert demo["evaluate"]["judge"] == comparison["evaluate"]["judge"]
    for name, suite in comparison["evaluate"]["suites"].items():
        assert suite["prompts"] == demo["evaluate"]["suites"][name]["prompts"]


def test_the_comparison_has_every_technique_under_every_condition_and_two_seeds_of_training():
    params = presets.load_preset("comparison")
    curves = params.evaluate.curves
    first = {name: params.removals[repetitions[0][0]] for name, repetitions in curves.items()}
    both = {"sdd", "esd", "uce", "rece", "negative", "sld"}
    cells = {(removal.method, getattr(removal, "condition", None)) for removal in first.values()}
    assert cells == {(method, condition) for method in both for condition in ("text", "token")} | {
        (method, None) for method in ("anchored", "closed_form", "reward_weighted", "dpo")
    }
    assert len(cells) == len(curves) and {"base", *params.evaluate.rows_of_curves} == params.removals.keys()
    assert all(len(curves[name]) == (2 if isinstance(removal, Trained) else 1) for name, removal in first.items())
    stages = {"distill", "attack", "evaluate"}
    addresses = {f"{stage}@{row}" for stage in stages for row in params.removals}
    assert addresses == {unit.address for unit in units_of(params) if unit.stage.name in stages}


def test_the_preset_of_two_concepts_has_a_ranked_style_and_a_suite_that_asks_for_the_other_style():
    params = presets.load_preset("concepts")
    assert {name: concept.feedback for name, concept in params.concepts.items()} == {
        "badge": "binary",
        "klara": "ranking",
    }
    assert params.evaluate.judge.concepts["klara"].flagged == ("klara",)
    suites = params.evaluate.suites
    assert {suite.concept for suite in suites.values()} == {"badge", "klara", None}
    assert (suites["klara"].role, suites["mondo"].role) == ("broad", "unrelated")
    content, other = (
        [prompt.replace(style, "STYLE") for prompt in suites[style].prompts] for style in ("klara", "mondo")
    )
    assert content == other, "the two styles are asked for with the same content"
    assert not {prompt for concept in params.concepts.values() for prompt in concept.prompts} & {
        *suites["klara"].prompts, *suites["mondo"].prompts,
    }  # fmt: skip
    assert len({removal.method for removal in params.removals.values()}) >= 4, "the base and three techniques"


def test_dvc_reads_the_comparison_as_we_do():
    path = Path(presets.__file__).parent / "comparison/params.yaml"
    assert load_path(str(path), LocalFileSystem())["removals"] == read_yaml(path)["removals"]


def test_dvc_and_hfi_know_a_new_project(tmp_path, fake_environment):
    create_project(tmp_path / "new", "embedded")
    project = FakeProject(tmp_path / "new", fake_environment)
    assert "out of date" in project.call(*_real_hfi("status")).stdout
    listed = project.call("dvc", "stage", "list", "--name-only").stdout.split()
    assert listed == [unit.address for unit in units_of(presets.load_preset("embedded"))]


def _real_hfi(*arguments):
    return (sys.executable, "-c", "from flows.cli.main import main; main()", *arguments)


@pytest.mark.parametrize("preset", presets.list_presets())
def test_git_ignores_what_stages_write_and_keeps_what_people_bring(tmp_path, preset):
    folder = tmp_path / "new"
    create_project(folder, preset)
    tops = {path.split("/")[0] for stage in STAGES for path in stage.outputs.values()}
    places = [f"{top}/x" for top in sorted(tops)] + ["feedback.db", "mlflow.db", ".hfi/lock"]
    assert git(folder, "check-ignore", *places).split() == places
    assert subprocess.run(["git", "check-ignore", "data/x.dvc", "dvc.lock", "flows/x.py"], cwd=folder).returncode == 1


def test_a_repository_that_is_there_already_is_kept(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "notes.txt").write_text("mine")
    create_project(tmp_path, "embedded")
    assert "?? notes.txt" in git(tmp_path, "status", "--porcelain")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_project_may_be_a_folder_of_a_larger_repository(tmp_path):
    git(tmp_path, "init", "-q")
    create_project(tmp_path / "inner", "embedded")
    assert not (tmp_path / "inner" / ".git").exists()
    assert "inner/params.yaml" in git(tmp_path, "ls-files")


@pytest.mark.parametrize("name", ["params.yaml", "operations.yaml", ".gitignore", "README.md"])
def test_a_file_that_is_there_is_named_and_nothing_is_written(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=name):
        create_project(tmp_path, "embedded")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_unknown_presets_and_files_for_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="comparison, concepts, embedded, sd15, sdxl, signs"):
        create_project(tmp_path / "new", "sd3")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        create_project(tmp_path / "file", "embedded")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["2026", "null", "#1", "yes", "a: b", "1e3", "it's", "emblems", "Zürich " + "x" * 90])
def test_a_folder_of_any_name_gets_deployments_of_that_name(name):
    content = yaml.safe_load(fill_template(TEMPLATE / "prefect.yaml", {"name": name}))
    assert content["name"] == name
    assert {entry["name"] for entry in content["deployments"]} == {name}
    assert content["deployments"][1]["parameters"]["deployment"] == f"safeguard/{name}"
