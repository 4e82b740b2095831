"""Whole params files that suit a model, one YAML file a preset; `embedded.yaml` is the repository's own."""

from importlib.resources import files
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.params import EMBEDDED, Params, load_params

_FOLDER = Path(str(files("flows.project.presets")))


def list_presets() -> list[str]:
    """The presets that there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def require_known(name: str) -> None:
    """Raise UserError, with the presets that there are, for one that is not among them."""
    if name not in list_presets():
        raise UserError(f"There is no preset {name!r}; there are {', '.join(list_presets())}.")


def read_preset(name: str) -> str:
    """A preset as it is written, with its comments."""
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def load_preset(name: str) -> Params:
    """A preset, parsed."""
    return load_params(_FOLDER / f"{name}.yaml")


def choose_preset(source: object) -> str:
    """The preset whose defaults suit a model source."""
    if source == EMBEDDED:
        return EMBEDDED
    return "sdxl" if "xl" in str(source).lower() else "sd15"  # by its name: the folder may be on another machine
