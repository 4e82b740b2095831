"""Write a model as a diffusers folder."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from hfi_core.io.json_files import write_json
from hfi_core.models.diffusion.folder import INDEX, SCHEDULER, components_without_weights, model_files, read_index
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import make_scheduler

_ORIGINS = ("_name_or_path", "name_or_path")
"""Keys under which the libraries note from where they read a component."""
_LOCAL_PATH = re.compile(r"(/|~[^/]*/|\\\\|file:/*|[A-Za-z]:[\\/])\w")


def save_model(model: TextToImage, folder: Path) -> None:
    """Write the networks of a model, and the other files of its base, into a folder that diffusers loads.

    Components of the base without weights, for example a safety checker that was not downloaded, are left out. The
    index names them as null, because diffusers cannot load an index that names a missing component.

    If the model has sampler settings, its scheduler is the one that `draw_pictures` uses. So diffusers draws the same
    pictures from the folder, whatever scheduler the base has. No configuration keeps a path of a machine.
    """
    left_out = components_without_weights(model.folder)
    index = read_index(model.folder) | {part: [None, None] for part in left_out}
    written = {INDEX, *model.networks, *left_out}
    for part, network in model.networks.items():
        network.save_pretrained(folder / part, safe_serialization=True)
    if model.sampler is not None:
        index[SCHEDULER] = ["diffusers", save_scheduler(model, folder)]
        written.add(SCHEDULER)
    for name in model_files(model.folder):
        if name.split("/")[0] not in written:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.folder / name, folder / name)
    write_json(folder / INDEX, _without_paths(index))
    for path in sorted(folder.glob("*/*config.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if (cleaned := _without_paths(content)) != content:
            # Not by `write_json`: the scheduler DPM-Solver++ has an infinite setting.
            path.write_text(json.dumps(cleaned, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def save_scheduler(model: TextToImage, folder: Path) -> str:
    """Write the scheduler that `draw_pictures` uses into `scheduler/` below a folder; return the name of its class.

    Raises ValueError if the model has no sampler settings.
    """
    if model.sampler is None:
        raise ValueError("The model has no sampler settings: load it by hfi_core.load_model(params).")
    scheduler = make_scheduler(model, model.sampler.scheduler, model.sampler.steps)
    scheduler.save_pretrained(folder / SCHEDULER)
    return type(scheduler).__name__


def _without_paths(content: Any, key: str = "") -> Any:
    """Return a configuration without the paths of the machine on which it was written."""
    if isinstance(content, dict):
        return {name: _without_paths(value, name) for name, value in content.items()}
    if isinstance(content, list):
        return [_without_paths(each) for each in content]
    if isinstance(content, str) and key in _ORIGINS:
        return ""
    return None if isinstance(content, str) and _LOCAL_PATH.match(content) else content
