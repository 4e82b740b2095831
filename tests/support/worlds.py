"""The worlds of the embedded models, and the preset that is for each."""

import pytest

from hfi_core.embedded.scenes import BADGES, SIGNS, WORLDS
from hfi_core.params import Params, load_params
from tests.support.projects import REPOSITORY

PRESETS = {"embedded": BADGES, "signs": SIGNS}

each_world = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
each_preset = pytest.mark.parametrize(("preset", "world"), PRESETS.items(), ids=PRESETS)


def load_preset(name: str) -> Params:
    """The params of a preset."""
    return load_params(REPOSITORY / "flows" / "project" / "presets" / name / "params.yaml")
