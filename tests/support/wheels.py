"""A wheel of this working copy, and environments that it is installed into."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.support.projects import REPOSITORY

_DEVELOPMENT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PREFECT_API_URL")


def _outside() -> dict[str, str]:
    """Our environment variables without those by which this working copy would be found."""
    return {name: value for name, value in os.environ.items() if name not in _DEVELOPMENT}


def build_wheel(folder: Path) -> Path:
    """Build a wheel from a copy of what packaging reads, so that nothing is left in the working copy."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "params.yaml", "operations.yaml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source / name)
    for name in ("hfi_core", "flows", "prompts"):
        shutil.copytree(REPOSITORY / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment and how commands are called in it, from any folder."""

    folder: Path

    def call(self, *command: str, cwd: Path, code: int = 0) -> str:
        """Run a command of the environment; its output."""
        scripts = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        environment = _outside() | {
            "PATH": os.pathsep.join(scripts),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == code, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


def install_beside(wheel: Path, folder: Path) -> Environment:
    """Install the wheel alone; its dependencies are those of the environment that the tests run in."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    environment = Environment(folder)
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, env=_outside())
    site = environment.call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # A path in a .pth file comes last, and .pth files there (the editable install's) are not read.
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment


def install_whole(wheel: Path, folder: Path) -> Environment:
    """Install the wheel with all its dependencies, by the constraints, into an empty environment."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-c", "constraints.txt", str(wheel)]
    subprocess.run(pip, check=True, cwd=REPOSITORY, env=_outside())
    return Environment(folder)
