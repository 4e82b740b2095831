"""Build models of the shape of Stable Diffusion 1.5 and SDXL with random weights: they cost what the real ones cost."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

LENGTH, VOCABULARY = 77, 49408
WORDS = 2000
"""Number of words that are one token each."""


def sd15_unet() -> UNet2DConditionModel:
    """Build a UNet of 860 M parameters, the shape of Stable Diffusion 1.4 and 1.5."""
    return UNet2DConditionModel(
        sample_size=64, block_out_channels=(320, 640, 1280, 1280), layers_per_block=2, cross_attention_dim=768,
        attention_head_dim=8,
    )  # fmt: skip


def _sdxl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=128, block_out_channels=(320, 640, 1280), layers_per_block=2, cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20), transformer_layers_per_block=(1, 2, 10), use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    )  # fmt: skip


def _vae(**more: object) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, **more,
    )  # fmt: skip


def _tokenizer() -> CLIPTokenizer:
    """Build a tokenizer with a few thousand words. The benchmarks use no other entry of the vocabulary."""
    letters = "abcdefghij"
    words = ["".join(letters[int(digit)] for digit in f"{number:04d}") for number in range(WORDS)]
    alphabet = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = dict.fromkeys([*alphabet, *(letter + "</w>" for letter in alphabet)])
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merges[parts[0], parts[1]] = None
            parts = [parts[0] + parts[1], *parts[2:]]
            pieces[parts[0]] = None
    every = [*pieces, "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={piece: i for i, piece in enumerate(every)}, merges=list(merges), model_max_length=LENGTH
    )


def _text(tokenizer: CLIPTokenizer, width: int, layers: int, heads: int, **more: object) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=LENGTH, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, **more,
    )  # fmt: skip


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )


def _sd15() -> StableDiffusionPipeline:
    words = _tokenizer()
    return StableDiffusionPipeline(
        unet=sd15_unet(), vae=_vae(sample_size=512), text_encoder=CLIPTextModel(_text(words, 768, 12, 12)),
        tokenizer=words, scheduler=_scheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def _sdxl() -> StableDiffusionXLPipeline:
    words = _tokenizer()
    return StableDiffusionXLPipeline(
        unet=_sdxl_unet(), vae=_vae(sample_size=1024, scaling_factor=0.13025, force_upcast=True),
        text_encoder=CLIPTextModel(_text(words, 768, 12, 12)),
        text_encoder_2=CLIPTextModelWithProjection(
            _text(words, 1280, 32, 20, projection_dim=1280, hidden_act="gelu")
        ),
        tokenizer=words, tokenizer_2=words, scheduler=_scheduler(), force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )  # fmt: skip


SHAPES: Mapping[str, Callable[[], object]] = {"SD 1.5": _sd15, "SDXL": _sdxl}


def build(shape: str, folder: Path, device: str, dtype: torch.dtype) -> Path:
    """Write a diffusers folder of that shape, with weights drawn on `device`."""
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            SHAPES[shape]().save_pretrained(folder)
    finally:
        torch.set_default_dtype(usual)
    return folder
