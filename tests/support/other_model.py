"""A pipeline that is nothing like the embedded one: other widths, latent size, tokenizer and parameterisation."""

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

WIDTH, LENGTH, SIDE = 48, 24, 32
LABELS = ("weapon", "tool", "nothing")


def tokenizer() -> CLIPTokenizer:
    """Every printable character is a token, and so is the word "knife"."""
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    pieces = [*letters, *(letter + "</w>" for letter in letters)]
    merges, parts = [], [*"knif", "e</w>"]
    while len(parts) > 1:
        merges.append((parts[0], parts[1]))
        parts = ["".join(parts[:2]), *parts[2:]]
        pieces.append(parts[0])
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges, model_max_length=LENGTH
    )  # fmt: skip


def _text_settings(words: CLIPTokenizer) -> dict:
    return {
        "vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": LENGTH, "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
    }  # fmt: skip


def build_sdxl(folder: Path) -> Path:
    """Write a pipeline of SDXL's shape with random weights: two text encoders, one of which pools, and given sizes."""
    torch.manual_seed(1)
    words, second, pooled, sizes = tokenizer(), 40, 56, 8
    wider = _text_settings(words) | {"hidden_size": second, "num_hidden_layers": 2, "projection_dim": pooled}
    StableDiffusionXLPipeline(
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
            attention_head_dim=(2, 4), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 2),
            use_linear_projection=True, cross_attention_dim=WIDTH + second, addition_embed_type="text_time",
            addition_time_embed_dim=sizes, projection_class_embeddings_input_dim=6 * sizes + pooled,
        ),
        vae=AutoencoderKL(
            block_out_channels=(8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, norm_num_groups=4, sample_size=SIDE, scaling_factor=0.13025,
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(**_text_settings(words) | {"num_hidden_layers": 2})),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**wider)),
        tokenizer=words, tokenizer_2=words,
        scheduler=DDIMScheduler(num_train_timesteps=200, beta_schedule="scaled_linear", clip_sample=False),
        force_zeros_for_empty_prompt=True, add_watermarker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def build_other_model(folder: Path) -> Path:
    """Write FOLDER/pipeline (v-prediction), FOLDER/clip and FOLDER/classifier, all with random weights."""
    torch.manual_seed(0)
    words = tokenizer()
    StableDiffusionPipeline(
        unet=UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, attention_head_dim=2,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
        ),
        vae=AutoencoderKL(
            block_out_channels=(8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, norm_num_groups=4, sample_size=SIDE,
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(**_text_settings(words))),
        tokenizer=words,
        scheduler=DDIMScheduler(
            num_train_timesteps=200, beta_schedule="linear", prediction_type="v_prediction", clip_sample=False
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder / "pipeline")  # fmt: skip
    vision = {
        "image_size": SIDE, "patch_size": 8, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }  # fmt: skip
    CLIPModel(
        CLIPConfig(text_config=_text_settings(words), vision_config=vision, projection_dim=20)
    ).save_pretrained(folder / "clip")  # fmt: skip
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE)
    CLIPProcessor(processor, words).save_pretrained(folder / "clip")
    ViTForImageClassification(
        ViTConfig(**vision, num_labels=len(LABELS), id2label=dict(enumerate(LABELS)))
    ).save_pretrained(folder / "classifier")  # fmt: skip
    (folder / "classifier" / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "ViTImageProcessor", "do_resize": True,
                "do_normalize": True, "do_rescale": True,
                "size": {"height": SIDE, "width": SIDE}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                "rescale_factor": 1 / 255,
            }
        )
    )  # fmt: skip
    return folder


def shard_weights(path: Path) -> list[Path]:
    """Write the weights of a file into two files and an index, as large networks have them; return the two."""
    tensors = load_file(path)
    names = sorted(tensors)
    stem = path.name.removesuffix(".safetensors")
    files = {name: f"{stem}-0000{1 + (name > names[len(names) // 2])}-of-00002.safetensors" for name in names}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in names if files[name] == file}, path.parent / file, {"format": "pt"})
    (path.parent / f"{stem}.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    path.unlink()
    return sorted(path.parent / file for file in set(files.values()))
