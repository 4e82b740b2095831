"""The wheel holds everything, and works where the repository is not, beside a `flows/` of the project's own."""

import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.clones import shorten
from tests.support.projects import REPOSITORY
from tests.support.wheels import Environment, build_wheel, install_beside, install_whole

_FOREIGN = "raise ImportError('the project has a package of this name, which must not be taken for ours')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Environment:
    return install_beside(wheel, tmp_path_factory.mktemp("environment") / "venv")


def project(environment: Environment, folder: Path) -> Path:
    """A new project, shortened, with packages of its own that are called like ours."""
    environment.call("hfi", "init", str(folder), cwd=folder.parent)
    for name in ("flows", "hfi_core"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(_FOREIGN)
    shorten(folder)
    environment.call("hfi", "params", "sync", cwd=folder)  # the plots name the rows
    return folder


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "hfi_core", "flows"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == {name for name in listed if (REPOSITORY / name).exists()}
        for name in ("params.yaml", "operations.yaml", "prompts/broad.txt"):
            assert archive.read(f"flows/project/presets/embedded/{name}") == (REPOSITORY / name).read_bytes()


def test_a_project_with_a_flows_folder_of_its_own_runs_by_the_wheel(installed, tmp_path):
    folder = project(installed, tmp_path / "mine")
    tiny = yaml.safe_load((folder / "params.yaml").read_text())
    tiny["candidates"]["drawn"]["badge"] = 1
    tiny["sampler"]["steps"] = 1
    tiny["compute"] |= {"threads": 1}
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny, sort_keys=False))
    where = installed.call(str(installed.folder / "bin" / "python"), "-c", "import flows; print(flows.__file__)",
                           cwd=tmp_path)  # fmt: skip
    assert where.startswith(str(installed.folder))
    installed.call("hfi", "params", "check", cwd=folder)
    installed.call("dvc", "repro", "-q", "generate@badge", cwd=folder)
    assert "generate@badge" in yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    assert "reports/cost.json: " in installed.call("hfi", "plan", cwd=folder)


@pytest.mark.soak
def test_the_demo_runs_from_the_wheel_in_an_empty_environment(wheel, tmp_path):
    environment = install_whole(wheel, tmp_path / "venv")
    folder = project(environment, tmp_path / "mine")
    assert "registered as" in environment.call("hfi", "run", cwd=folder)
    assert "up to date" in environment.call("dvc", "status", cwd=folder)
