"""Check that a diffusers folder is complete, and that this package computes its model as diffusers does.

The check reads the configurations and the headers of the weights, so it takes milliseconds. Does not import torch.
Whatever a configuration asks for and the code does not compute is refused by its name: pictures would be wrong without
an error.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError, listed
from hfi_core.models.diffusion.folder import (
    INDEX,
    components,
    picture_side,
    read_index,
    require_files,
    require_tokenizer,
    require_weights,
)

UNET, VAE, TOKENIZER = "UNet2DConditionModel", "AutoencoderKL", "CLIPTokenizer"
_PARTS = {
    "unet": ("diffusers", UNET),
    "vae": ("diffusers", VAE),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", TOKENIZER),
}
_SDXL_PARTS = _PARTS | {
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
    "tokenizer_2": ("transformers", TOKENIZER),
}
_SDXL = "StableDiffusionXLPipeline"
_PIPELINES = {"StableDiffusionPipeline": _PARTS, _SDXL: _SDXL_PARTS}

_SCHEDULER = "scheduler/scheduler_config.json"
_OTHER_PROCESS = "another noise process, or the sampler of a distilled model"
_SCHEDULERS = (
    "DDIMScheduler", "DDIMParallelScheduler", "DDPMScheduler", "DDPMParallelScheduler", "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSDEScheduler", "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "LMSDiscreteScheduler", "PNDMScheduler",
    "SASolverScheduler", "UniPCMultistepScheduler",
)  # fmt: skip
"""Schedulers of one noise process: discrete and variance-preserving (Ho et al. 2020), given by betas."""
_SCHEDULERS_OF_OTHER_BETAS = (
    "DPMSolverSDEScheduler", "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler",
)  # fmt: skip
"""Where the configuration does not say them, these take other betas than the rest."""

_FIX = "  To fix this: name a text-to-image base of Stable Diffusion 1.x, 2.x or SDXL in model.source."


@dataclass(frozen=True)
class _Setting:
    """A setting of a configuration, and the values with which the code computes what diffusers computes."""

    file: str
    key: str
    default: Any
    """What diffusers takes if the key is missing."""
    supported: tuple[Any, ...]
    purpose: str


def _settings(is_sdxl: bool) -> Iterator[_Setting]:
    def unset(file: str, key: str, purpose: str) -> _Setting:
        return _Setting(file, key, None, (None,), purpose)

    scheduler, unet, vae = _SCHEDULER, "unet/config.json", "vae/config.json"
    yield _Setting(scheduler, "_class_name", _SCHEDULERS[0], _SCHEDULERS, _OTHER_PROCESS)
    yield _Setting(scheduler, "prediction_type", "epsilon", ("epsilon", "v_prediction"), "what the network predicts")
    yield _Setting(scheduler, "rescale_betas_zero_snr", False, (False, None), "zero terminal SNR")
    yield _Setting(scheduler, "timestep_type", "discrete", ("discrete", None), "continuous noise levels")
    yield _Setting(scheduler, "use_flow_sigmas", False, (False, None), "flow matching")
    for key in ("sigma_min", "sigma_max", "sigma_data"):
        yield unset(scheduler, key, "noise levels of EDM")
    yield _Setting(unet, "addition_embed_type", None, ("text_time" if is_sdxl else None,), "further conditions")
    yield _Setting(unet, "attention_type", "default", ("default",), "attention to further conditions")
    yield _Setting(unet, "dual_cross_attention", False, (False, None), "attention to two conditions")
    yield unset(unet, "class_embed_type", "class labels")
    yield unset(unet, "num_class_embeds", "class labels")
    yield unset(unet, "encoder_hid_dim", "another encoder of the condition")
    yield unset(unet, "encoder_hid_dim_type", "another encoder of the condition")
    yield unset(unet, "time_cond_proj_dim", "the guidance scale as a condition, as in LCM")
    yield unset(vae, "latents_mean", "shifted latents")
    yield unset(vae, "latents_std", "scaled latents")
    yield _Setting(vae, "shift_factor", None, (None, 0), "shifted latents")
    if not is_sdxl:
        yield _Setting("text_encoder/config.json", "use_attention_mask", False, (False, None), "masked prompts")


def require_supported(folder: Path) -> dict[str, str]:
    """Return the components that the code loads, each with the class that reads it.

    Raises UserError, which names the file and the key, if the folder lacks a file or describes a model that this
    package does not compute.
    """
    index = read_index(folder)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in _PIPELINES:
        described = f"describes a {pipeline}" if isinstance(pipeline, str) else "names no pipeline (`_class_name`)"
        raise UserError(f"{folder / INDEX} {described}; only {' and '.join(_PIPELINES)} are supported.\n{_FIX}")
    wanted, is_sdxl = _PIPELINES[pipeline], pipeline == _SDXL
    named = components(index)
    for part, (library, kind) in wanted.items():
        if named.get(part) not in (kind, f"{kind}Fast"):
            raise UserError(
                f"{folder / INDEX}: {part} is {index.get(part)}; only {library}'s {kind} is supported in a {pipeline}."
            )
    if "scheduler" not in named:
        raise UserError(f"{folder / INDEX} names no scheduler, so the model's noise schedule is unknown.")
    for part in ("scheduler", *wanted):
        if not (folder / part).is_dir():
            raise UserError(
                f"{folder / part} is missing, but {INDEX} names it.\n  To fix this: download the folder again."
            )
    for part, (_, kind) in wanted.items():
        if kind == TOKENIZER:
            require_tokenizer(folder / part)
        else:
            require_weights(folder / part)
    _require_settings(folder, is_sdxl, named["scheduler"])
    _require_shapes(folder, is_sdxl)
    return {part: kind for part, (_, kind) in wanted.items()}


def _require_settings(folder: Path, is_sdxl: bool, scheduler: str) -> None:
    refused = []
    if scheduler not in _SCHEDULERS:  # diffusers takes the class from the index
        refused.append(f"{INDEX}: scheduler is {scheduler} ({_OTHER_PROCESS})")
    for setting in _settings(is_sdxl):
        config = _read_config(folder / setting.file)
        value = config.get(setting.key, setting.default)
        if value not in setting.supported:
            refused.append(f"{setting.file}: {setting.key} is {_shortened(value)} ({setting.purpose})")
    config = _read_config(folder / _SCHEDULER)
    if scheduler in _SCHEDULERS_OF_OTHER_BETAS and config.get("trained_betas") is None:
        refused += [
            f"{_SCHEDULER}: {key} is missing, and the default of {scheduler} is not that of other schedulers"
            for key in ("beta_start", "beta_end")
            if key not in config
        ]
    if refused:
        raise UserError(
            f"{folder} describes a model that this package does not compute as diffusers does:\n"
            f"{listed(refused, as_lines=True)}\n{_FIX}"
        )


def _require_shapes(folder: Path, is_sdxl: bool) -> None:
    """Raise UserError if the parts of the model do not fit together. The defaults are those of the libraries."""
    unet, vae = (_read_config(folder / part / "config.json") for part in ("unet", "vae"))
    texts = [_read_config(folder / part / "config.json") for part in ("text_encoder", "text_encoder_2")[: 1 + is_sdxl]]
    try:
        picture_side(unet, vae)
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder}: {error}.\n  To fix this: name another base in model.source.") from error
    if not is_sdxl and unet["sample_size"] < 64 and _version(unet) < (0, 9):
        raise UserError(
            f"{folder / 'unet/config.json'}: sample_size is {unet['sample_size']}, written by diffusers "
            f"{unet['_diffusers_version']}. diffusers takes this for a known mistake, and draws with 64.\n"
            "  To fix this: copy the folder, and set sample_size to 64 in the copy."
        )
    enters, leaves, latents = (
        unet.get("in_channels", 4), unet.get("out_channels", 4), vae.get("latent_channels", 4),
    )  # fmt: skip
    if not enters == leaves == latents:
        raise UserError(
            f"{folder}: the UNet maps {enters} channels to {leaves}, but the VAE's latents have {latents}. Models for "
            "inpainting or editing, which also read a picture, are not supported.\n"
            "  To fix this: name a text-to-image base in model.source."
        )
    attended, width = unet.get("cross_attention_dim", 1280), sum(text.get("hidden_size", 512) for text in texts)
    if attended != width:
        raise UserError(
            f"{folder}: the UNet attends to {attended} numbers, but the text encoders give {width}.\n{_FIX}"
        )
    if is_sdxl:
        added = 6 * (unet.get("addition_time_embed_dim") or 0) + texts[1].get("projection_dim", 512)
        if unet.get("projection_class_embeddings_input_dim") != added:
            raise UserError(
                f"{folder / 'unet/config.json'}: projection_class_embeddings_input_dim is "
                f"{unet.get('projection_class_embeddings_input_dim')}, but the pooled text and six sizes give {added}. "
                f"A refiner has other conditions, and is not supported.\n{_FIX}"
            )
    for number, text in zip(("", "_2"), texts, strict=False):
        _require_length(folder / f"tokenizer{number}", text.get("max_position_embeddings", 77))


def _require_length(tokenizer: Path, positions: int) -> None:
    """Raise UserError if the tokenizer does not say how many tokens it gives, or gives more than the encoder reads."""
    path = tokenizer / "tokenizer_config.json"
    length = _read_config(path).get("model_max_length")
    if not isinstance(length, int) or not 2 < length <= positions:
        said = "is missing" if length is None else f"is {_shortened(length)}"
        raise UserError(
            f"{path}: model_max_length {said}, but the text encoder reads {positions} tokens.\n"
            f"  To fix this: copy the folder, and set model_max_length to {positions} in the copy."
        )


def _version(config: Mapping[str, Any]) -> tuple[int, ...]:
    numbers = str(config.get("_diffusers_version", "")).split(".")[:2]
    return tuple(int(number) for number in numbers) if all(number.isdecimal() for number in numbers) else (0, 9)


def _read_config(path: Path) -> dict[str, Any]:
    require_files([path])
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}\n  To fix this: download the folder again.") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object.\n  To fix this: download the folder again.")
    return config


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
