"""Read the weights that a row of the method `imported` names, as the tensors of the base that they replace.

A UNet's tensors have the names that diffusers gives them, a text encoder's stand after `text_encoder.` or
`text_encoder_2.` (without the `text_model.` that older versions of transformers write). What does not fit the base is
refused with the first wrong tensor: its name, its shape, and the shape of the base. The checks read headers only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.models.diffusion.folder import INDEX, read_index, require_files, require_weights
from hfi_core.models.diffusion.supported import require_supported
from hfi_core.models.lora_layouts import LoraNames
from hfi_core.models.weights import digest_of_weights, expand_user
from hfi_core.params import Imported

if TYPE_CHECKING:  # the checks do not import torch
    import torch

_ENCODERS = ("text_encoder", "text_encoder_2")
_FLOATS = ("F64", "F32", "F16", "BF16")
_UNCHANGED = ("position_ids",)
"""Buffers that some versions of transformers wrote, and that are never learned."""
_NOT_PICKLES = (
    "  To fix this: name a whole safetensors file. Pickles (.pt, .bin, .ckpt) can run code, so they are not loaded. If "
    "you trust one, write its tensors with `safetensors.torch.save_file`."
)


@dataclass(frozen=True)
class _Stored:
    """A tensor in a safetensors file."""

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: str

    def read(self) -> torch.Tensor:
        """Return the tensor in float32. Raises UserError if it is not finite."""
        from safetensors import safe_open

        with safe_open(self.path, framework="pt") as file:
            value = file.get_tensor(self.key).float()
        if not value.isfinite().all():
            raise UserError(f"{self.path}: {self.key} has values that are not finite.\n{_other_weights()}")
        return value


@dataclass(frozen=True)
class _Lora:
    """The LoRA of one module: W + alpha / rank * up down (Hu et al. 2021, section 4.1)."""

    down: _Stored
    up: _Stored
    alpha: float | _Stored | None
    """None is the rank, so the factor is 1."""

    def merge(self, base: _Stored) -> torch.Tensor:
        """Return the module's weight with the LoRA at scale 1."""
        alpha = float(self.alpha.read()) if isinstance(self.alpha, _Stored) else self.alpha
        rank = self.down.shape[0]
        delta = self.up.read().flatten(1) @ self.down.read().flatten(1)
        return base.read() + (1.0 if alpha is None else alpha / rank) * delta.reshape(base.shape)


def read_imported(row: str, spec: Imported, base: Path) -> dict[str, torch.Tensor]:
    """Return the tensors, float32, in which the imported weights differ from the base in the diffusers folder `base`.

    Raises UserError if the source is missing, is not the one that params pin, or does not fit the base.
    """
    path = require_pinned(row, spec)
    own = _base_tensors(base)
    weights = {}
    for name, found in _fit(path, spec, base, own).items():
        value = found.merge(own[name]) if isinstance(found, _Lora) else found.read()
        if not value.equal(own[name].read()):
            weights[name] = value
    if not weights:
        raise UserError(
            f"{path} (removals.{row}) changes nothing: every tensor is that of the base.\n{_other_weights()}"
        )
    return weights


def require_pinned(row: str, spec: Imported) -> Path:
    """Return the file or folder of a row's source. Raises UserError if it is missing or not the one that params pin."""
    path = locate_imported(row, spec)
    actual = digest_of_imported(path)
    if actual != spec.digest:
        raise UserError(
            f"The weights of removals.{row} in {path} are not the ones that params.yaml pins:\n"
            f"  pinned {spec.digest}\n  found  {actual}\nTo accept the weights that were found, run `hfi params pin`."
        )
    return path


def require_fitting(row: str, spec: Imported, base: Path) -> int:
    """Return the number of the base's parameters that the source of a row replaces, from the headers of its files.

    Raises UserError if the source is missing or does not fit the base.
    """
    own = _base_tensors(base)
    return sum(prod(own[name].shape) for name in _fit(locate_imported(row, spec), spec, base, own))


def locate_imported(row: str, spec: Imported) -> Path:
    """Return the file or folder of a row's source; `~` is the home folder.

    Raises UserError if it is missing.
    """
    path = expand_user(spec.source)
    if not path.exists():
        raise UserError(
            f"removals.{row}.source {spec.source!r} is missing. To fix this: name a safetensors file or a folder of "
            "this machine; what lies on the hub has to be downloaded first."
        )
    if spec.kind == "pipeline" and not path.is_dir():
        raise UserError(f"removals.{row}.source {spec.source!r} is a file; a pipeline is a folder with {INDEX}.")
    if spec.kind == "lora" and path.is_dir():
        raise UserError(f"removals.{row}.source {spec.source!r} is a folder; name the LoRA's safetensors file in it.")
    return path


def digest_of_imported(path: Path) -> str:
    """Return the digest of a source: of the file, or of the weights and configuration in a folder."""
    if path.is_dir():
        return digest_of_weights(path)
    require_files([path])
    return f"sha256:{sha256_of_file(path)}"


def _fit(path: Path, spec: Imported, base: Path, own: Mapping[str, _Stored]) -> dict[str, _Stored | _Lora]:
    """Return what the source holds for each of the base's tensors that it replaces.

    Raises UserError, which names the first wrong tensor.
    """
    if spec.kind == "lora":
        return {**_fit_lora(path, own)}
    if spec.kind == "pipeline":
        _require_same_configuration(path, base)
        found: dict[str, _Stored] = {}
        for part in [part for part in ("unet", *_ENCODERS) if (base / part).is_dir()]:
            found |= _named(part, _tensors(path / part))
    else:
        tensors = _without_common_prefix(_tensors(path), ("module.", "unet.", "text_encoder."))
        found = _named("unet", tensors) if spec.kind == "unet" else _named_by_encoder(tensors, own)
    if not found:
        raise UserError(f"{path} has no tensors.\n{_other_weights()}")
    for name, tensor in found.items():
        _require_shape(tensor, own[name].shape if name in own else None, base)
    return {**found}


def _require_shape(tensor: _Stored, expected: tuple[int, ...] | None, base: Path | None = None) -> None:
    what = f"{tensor.path}: {tensor.key} {_shaped(tensor.shape)} does not fit the base"
    if expected is None:
        raise UserError(f"{what}, which has no such tensor{f' ({base})' if base else ''}.\n{_other_weights()}")
    if tensor.shape != expected:
        raise UserError(f"{what}: {_shaped(expected)} is expected.\n{_other_weights()}")
    if tensor.dtype not in _FLOATS:
        raise UserError(
            f"{tensor.path}: {tensor.key} is stored as {tensor.dtype}; {', '.join(_FLOATS)} are read.\n"
            "  To fix this: store the weights as floating point numbers, without quantisation."
        )


def _shaped(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _other_weights() -> str:
    return (
        "  To fix this: name weights that were made from the base in model.source, under the names of diffusers (a "
        "LoRA: of diffusers, PEFT or kohya), and their `kind`."
    )


def _base_tensors(base: Path) -> dict[str, _Stored]:
    networks = [part for part in require_supported(base) if part == "unet" or part in _ENCODERS]
    return {name: tensor for part in networks for name, tensor in _named(part, _tensors(base / part)).items()}


def _tensors(path: Path) -> dict[str, _Stored]:
    """Return the tensors of a file, or of a folder that `save_pretrained` wrote, by key. Reads headers only."""
    from safetensors import SafetensorError, safe_open

    found = {}
    for file in require_weights(path) if path.is_dir() else [path]:
        require_files([file])
        try:
            with safe_open(file, framework="numpy") as weights:
                for key in sorted(weights.keys()):
                    part = weights.get_slice(key)
                    found[key] = _Stored(file, key, tuple(part.get_shape()), part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} is not a whole safetensors file ({error}).\n{_NOT_PICKLES}") from error
    return found


def _named(part: str, tensors: Mapping[str, _Stored]) -> dict[str, _Stored]:
    if part == "unet":
        return dict(tensors)
    named = {f"{part}.{key.removeprefix('text_model.')}": tensor for key, tensor in tensors.items()}
    return {name: tensor for name, tensor in named.items() if not name.endswith(_UNCHANGED)}


def _without_common_prefix(tensors: Mapping[str, _Stored], prefixes: tuple[str, ...]) -> dict[str, _Stored]:
    for prefix in prefixes:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return dict(tensors)


def _named_by_encoder(tensors: Mapping[str, _Stored], own: Mapping[str, _Stored]) -> dict[str, _Stored]:
    """Name the tensors of a text encoder. Of SDXL's two, it is the one whose shapes they have."""
    second = _ENCODERS[1]
    if tensors and all(key.startswith(f"{second}.") for key in tensors):
        return _named(second, _without_common_prefix(tensors, (f"{second}.",)))
    named = [_named(part, tensors) for part in _ENCODERS]
    fitting = [
        tensors for tensors in named if all(name in own and own[name].shape == t.shape for name, t in tensors.items())
    ]
    return next(iter(fitting), named[0])


def _fit_lora(path: Path, own: Mapping[str, _Stored]) -> dict[str, _Lora]:
    tensors = _tensors(path)
    names = LoraNames(name.removesuffix(".weight") for name, t in own.items() if len(t.shape) in (2, 4))
    parts: dict[str, dict[str, _Stored]] = {}
    for key, tensor in tensors.items():
        place = names.find(key)
        if place is None:
            _require_shape(tensor, None)
        else:
            parts.setdefault(f"{place[0]}.weight", {})[place[1]] = tensor
    if not parts:
        raise UserError(f"{path} has no tensors.\n{_other_weights()}")
    alphas = _read_adapter_alphas(path)
    return {name: _fit_module(name, own[name].shape, part, alphas) for name, part in parts.items()}


def _fit_module(
    name: str, shape: tuple[int, ...], part: Mapping[str, _Stored], alphas: Mapping[str, float | None]
) -> _Lora:
    if lacking := [other for other in ("down", "up") if other not in part]:
        some = next(iter(part.values()))
        raise UserError(f"{some.path}: {some.key} has no counterpart ({lacking[0]}).\n{_other_weights()}")
    rank = max(1, *part["down"].shape[:1], 1)
    _require_shape(part["down"], (rank, *shape[1:]))
    _require_shape(part["up"], (shape[0], rank, *(1 for _ in shape[2:])))
    if "alpha" in part and prod(part["alpha"].shape) != 1:
        _require_shape(part["alpha"], ())
    component = name.partition(".")[0] if name.startswith("text_encoder") else "unet"
    return _Lora(part["down"], part["up"], part.get("alpha", alphas.get(component)))


_ADAPTER_METADATA = "lora_adapter_metadata"
"""Under this key diffusers stores the settings of PEFT, as JSON."""
_UNREAD_SETTINGS = ("alpha_pattern", "use_rslora", "use_dora")


def _read_adapter_alphas(path: Path) -> dict[str, float | None]:
    """Return alpha by component, where the file's metadata says it."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        content = (file.metadata() or {}).get(_ADAPTER_METADATA)
    try:
        settings: dict[str, Any] = json.loads(content) if content else {}
        alphas = {part: settings.get(f"{part}.lora_alpha") for part in ("unet", *_ENCODERS)}
        unread = [key for key, value in settings.items() if value and key.split(".")[-1] in _UNREAD_SETTINGS]
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: its metadata {_ADAPTER_METADATA} cannot be read ({error}).") from error
    if unread:
        raise UserError(
            f"{path}: its metadata set {unread[0]}, which is not read.\n"
            "  To fix this: merge it with `fuse_lora` of diffusers, save the pipeline, and import that folder."
        )
    return {part: None if alpha is None else float(alpha) for part, alpha in alphas.items()}


_OF_NO_MATTER = {
    "torch_dtype", "dtype", "transformers_version", "architectures", "model_type", "bos_token_id", "eos_token_id",
    "pad_token_id", "initializer_factor", "initializer_range", "dropout", "attention_dropout", "projection_dim",
}  # fmt: skip
"""Settings that versions of transformers write differently, and that drawing does not use."""
_SCHEDULE = {"prediction_type", "beta_start", "beta_end", "beta_schedule", "num_train_timesteps"}
_DEFAULTS = {"prediction_type": "epsilon"}
"""What older versions of diffusers left out."""


def _require_same_configuration(path: Path, base: Path) -> None:
    """Raise UserError if a pipeline computes with its weights otherwise than the base does, or has another VAE."""
    read_index(path)
    scheduler = "scheduler/scheduler_config.json"
    for file in ["unet/config.json", scheduler, *(f"{part}/config.json" for part in _ENCODERS)]:
        if not (base / file).is_file():
            continue
        require_files([path / file])
        own, others = (_DEFAULTS | _read_json(folder / file) for folder in (base, path))
        keys = own.keys() & others.keys() - _OF_NO_MATTER
        for key in sorted(keys & _SCHEDULE if file == scheduler else keys):
            if not key.startswith("_") and own[key] != others[key]:
                raise UserError(
                    f"{path / file}: {key} is {others[key]!r}, and the base's is {own[key]!r}: with this the same "
                    "weights draw other pictures.\n"
                    "  To fix this: name a pipeline that was made from the base in model.source."
                )
    _require_same_vae(path, base)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


def _require_same_vae(path: Path, base: Path) -> None:
    import torch

    own = _tensors(base / "vae")
    for key, tensor in _tensors(path / "vae").items():
        if key not in own:
            continue  # versions of diffusers name a few tensors differently
        # A copy in half precision is the same VAE.
        if tensor.shape != own[key].shape or not torch.allclose(tensor.read(), own[key].read(), rtol=1e-2, atol=1e-3):
            raise UserError(
                f"{tensor.path}: {key} differs from the base's. All rows are drawn with the base's VAE.\n"
                "  To fix this: name a pipeline that was made from the base in model.source."
            )
