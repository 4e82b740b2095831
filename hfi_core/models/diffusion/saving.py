"""Write a model as a diffusers folder."""

import shutil
from pathlib import Path

from hfi_core.io.json_files import write_json
from hfi_core.models.diffusion.folder import INDEX, components_without_weights, model_files, read_index
from hfi_core.models.diffusion.model import TextToImage


def save_model(model: TextToImage, folder: Path) -> None:
    """Write the networks of a model, and the other files of its base, into a folder that diffusers loads.

    Components of the base without weights, for example a safety checker that was not downloaded, are left out. The
    index names them as null, because diffusers cannot load an index that names a missing component.
    """
    left_out = components_without_weights(model.folder)
    for name in model_files(model.folder):
        if name.split("/")[0] not in {INDEX, *model.networks, *left_out}:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.folder / name, folder / name)
    write_json(folder / INDEX, read_index(model.folder) | {part: [None, None] for part in left_out})
    for part, network in model.networks.items():
        _save_network(network, folder / part)


def _save_network(network, folder: Path) -> None:
    """Write a network. Its config does not keep the path it was read from, which the libraries note there."""
    if hasattr(network, "register_to_config"):
        network.register_to_config(_name_or_path="")
    else:
        network.config._name_or_path = ""
    network.save_pretrained(folder, safe_serialization=True)
