"""Presets: complete params files for a kind of model, one YAML file each. `embedded.yaml` is the repository's own."""

from importlib.resources import files
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.params import EMBEDDED, Params, load_params

_FOLDER = Path(str(files("flows.project.presets")))


def list_presets() -> list[str]:
    """Return the names of all presets."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def require_known(name: str) -> None:
    """Raise UserError if there is no preset of that name; the message lists the presets."""
    if name not in list_presets():
        raise UserError(f"There is no preset {name!r}; there are {', '.join(list_presets())}.")


def read_preset(name: str) -> str:
    """Return the text of a preset, with its comments."""
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def load_preset(name: str) -> Params:
    """Return the params of a preset."""
    return load_params(_FOLDER / f"{name}.yaml")


def choose_preset(source: object) -> str:
    """Return the preset whose defaults suit a model source."""
    if source == EMBEDDED:
        return EMBEDDED
    # By its name, because the folder may be on another machine.
    return "sdxl" if "xl" in str(source).lower() else "sd15"
