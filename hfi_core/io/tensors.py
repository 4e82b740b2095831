"""Read and write safetensors files; with at most one metadata key, equal tensors give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, safe_open

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file

if TYPE_CHECKING:  # reading arrays does not import torch
    import numpy as np
    import torch

_META = "hfi"


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], meta: Any = None) -> None:
    """Write tensors (moved to the CPU, contiguous) and one JSON value `meta`, whole or not at all."""
    from safetensors.torch import save_file

    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    metadata = None if meta is None else {_META: json.dumps(meta, sort_keys=True)}
    with atomic_file(path) as temporary:
        save_file(ready, temporary, metadata=metadata)


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], Any]:
    """Read the tensors (on the CPU) and the `meta` that `save_tensors` wrote.

    Raises UserError if the file is missing, incomplete, or not a safetensors file (a pickle, for example).
    """
    return _load(path, "pt")


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors that `save_tensors` wrote as NumPy arrays.

    Raises UserError as `load_tensors` does.
    """
    return _load(path, "np")[0]


def _load(path: Path, framework: Literal["pt", "np"]) -> tuple[dict[str, Any], Any]:
    try:
        with safe_open(path, framework=framework) as file:
            meta = (file.metadata() or {}).get(_META)
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(meta) if meta else None  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}.") from error
