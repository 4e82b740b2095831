"""Tensors on disk: safetensors with at most one metadata key, so that equal tensors are equal bytes."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hfi_core.errors import UserError
from hfi_core.io.atomic import whole_file

_META = "hfi"


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], meta: Any = None) -> None:
    """Write tensors (moved to CPU, contiguous) and one JSON value as a whole file."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    metadata = None if meta is None else {_META: json.dumps(meta, sort_keys=True)}
    with whole_file(path) as beside:
        save_file(ready, beside, metadata=metadata)


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], Any]:
    """Read what `save_tensors` wrote.

    Raises UserError for a file that is missing, torn, or no safetensors file (a pickle, say).
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = (file.metadata() or {}).get(_META)
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(meta) if meta else None  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is no readable safetensors file: {error}.") from error
