"""Presets: complete settings for a kind of model, one folder each. Those of `embedded` are the repository's own."""

from importlib.resources import files
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.params import EMBEDDED, Params, load_params
from hfi_core.pipeline.layout import PARAMS

_FOLDER = Path(str(files("flows.project.presets")))


def list_presets() -> list[str]:
    """Return the names of all presets."""
    return sorted(path.parent.name for path in _FOLDER.glob(f"*/{PARAMS}"))


def require_known(name: str) -> None:
    """Raise UserError if there is no preset of that name; the message lists the presets."""
    if name not in list_presets():
        raise UserError(f"There is no preset {name!r}; there are {', '.join(list_presets())}.")


def read_preset(name: str) -> dict[Path, str]:
    """Return the texts of a preset's files, with their comments, by the path of each in a project."""
    folder = _FOLDER / name
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_text(encoding="utf-8") for path in files}


def load_preset(name: str) -> Params:
    """Return the params of a preset."""
    return load_params(_FOLDER / name / PARAMS)


def choose_preset(source: object) -> str:
    """Return the preset whose defaults suit a model source."""
    if source == EMBEDDED:
        return EMBEDDED
    # By its name, because the folder may be on another machine.
    return "sdxl" if "xl" in str(source).lower() else "sd15"
