"""A release of the miniature model whose removal is made up: large, and of a known rank."""

from pathlib import Path

import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.io.json_files import write_json
from hfi_core.io.tensors import save_tensors
from hfi_core.models.diffusion.loading import WEIGHTS, load_base_model
from hfi_core.pipeline.graph import Unit, units_of
from tests.support.evaluations import write_row
from tests.support.projects import Project

RANK = 3


def removed(parameters: dict[str, torch.Tensor], size: float = 1.0) -> dict[str, torch.Tensor]:
    """Cross-attention parameters after a change of rank 3, with `size` times each matrix's own norm; biases stay."""
    changed = {}
    for name, value in parameters.items():
        changed[name] = value.detach().clone()
        if value.ndim == 2:
            generator = torch_generator("removed", name)
            left, right = (torch.randn(side, RANK, generator=generator) for side in value.shape)
            change = left @ right.T
            changed[name] += size * value.norm() * change / change.norm()
    return changed


def mentions(path: Path, text: str) -> bool:
    """Whether a file holds a text, in UTF-8."""
    return text.encode() in path.read_bytes()


def prepare(project: Project) -> Unit:
    """Write all that the package stage reads; its unit."""
    params = project.params
    unit = next(unit for unit in units_of(params, project.folder) if unit.stage.name == "package")
    row = unit.inputs["model"]
    weights = removed(load_base_model(params.model, params.compute).cross_attention())
    save_tensors(row / WEIGHTS, weights, {"base": params.model.digest, "row": row.name})
    write_json(row / "removal.json", {"row": row.name, "method": "anchored", "trained_parameters": 1})
    unit.inputs["tokens"].mkdir()
    figure = {"value": 0.04, "low": 0.03, "high": 0.05, "n": 100}
    rows = [{"row": name, "metrics": {"flagged@broad": figure}} for name in ("base", row.name)]
    write_json(unit.inputs["evaluation"], {"rows": rows, "attacks": {}})
    for name in ("base", row.name):
        write_row(unit.inputs["drawn"] / name, params, name)
    return unit


def write_release(project: Project) -> Path:
    """Package the made-up removal; the release's folder."""
    unit = prepare(project)
    unit.stage.load()(unit.context(project.params))
    return unit.outputs["release"]
