"""A LoRA is merged as the libraries merge it, whichever of their names its tensors have."""

import json

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from hfi_core.errors import UserError
from hfi_core.models.imported import read_imported
from hfi_core.models.lora_layouts import LoraNames
from hfi_core.params import Imported
from tests.support.imported import (
    RANK,
    TEXT_MODULE,
    UNET_LINEAR,
    UNET_MODULES,
    factors,
    imported_row,
    kohya_lora,
    peft_lora,
)
from tests.support.other_model import build_sdxl

ATTENTION = "up_blocks.0.attentions.1.transformer_blocks.0.attn2.to_v"


@pytest.fixture
def pipe(miniature):
    return StableDiffusionPipeline.from_pretrained(miniature / "pipeline", dtype=torch.float32)


def read(path, base):
    return read_imported("theirs", Imported(**imported_row(path, "lora")), base)


def fused_by_diffusers(pipe, path) -> dict[str, torch.Tensor]:
    """The pipeline's own weights with the LoRA of a file fused, by the name of `weights.safetensors`."""
    pipe.load_lora_weights(path.parent, weight_name=path.name)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    named = dict(pipe.unet.named_parameters())
    for name, value in pipe.text_encoder.named_parameters():
        named[f"text_encoder.{name.removeprefix('text_model.')}"] = value
    return named


@pytest.mark.parametrize("write", [peft_lora, kohya_lora])
def test_the_unet_is_the_one_that_diffusers_fuses_from_the_same_file(miniature, pipe, tmp_path, write):
    path = write(tmp_path / "theirs.safetensors", pipe.unet)
    ours, before = read(path, miniature / "pipeline"), {k: v.clone() for k, v in pipe.unet.named_parameters()}
    assert set(ours) == {f"{module}.weight" for module in UNET_MODULES}
    theirs = fused_by_diffusers(pipe, path)
    for name, value in before.items():
        assert torch.allclose(theirs[name], ours.get(name, value), atol=1e-6), name
        assert torch.equal(theirs[name], value) == (name not in ours), name


@pytest.mark.parametrize(("write", "factor"), [(peft_lora, 1.0), (kohya_lora, 1.5 / RANK)])
def test_a_text_encoder_s_lora_is_merged_into_it(miniature, pipe, tmp_path, write, factor):
    path = write(tmp_path / "theirs.safetensors", pipe.unet, pipe.text_encoder)
    weight = pipe.text_encoder.get_submodule(TEXT_MODULE).weight
    down, up = factors(TEXT_MODULE, weight)
    merged = read(path, miniature / "pipeline")[f"text_encoder.{TEXT_MODULE}.weight"]
    assert torch.allclose(merged, weight + factor * up @ down, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "down", "up"),
    [
        (f"unet.{ATTENTION}", ".lora.down.weight", ".lora.up.weight"),
        (f"unet.{ATTENTION.replace('.to_v', '.processor.to_v')}", "_lora.down.weight", "_lora.up.weight"),
        (ATTENTION.replace(".to_v", ".processor.to_v"), "_lora.down.weight", "_lora.up.weight"),
        (f"base_model.model.{ATTENTION}", ".lora_A.weight", ".lora_B.weight"),
        (f"base_model.model.{ATTENTION}", ".lora_A.default.weight", ".lora_B.default.weight"),
        (f"text_encoder.text_model.{TEXT_MODULE}", ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    ],
)
def test_the_names_of_earlier_versions_are_read(miniature, pipe, tmp_path, module, down, up):
    own = f"text_encoder.{TEXT_MODULE}" if module.startswith("text") else ATTENTION
    network = pipe.text_encoder if own.startswith("text") else pipe.unet
    weight = network.get_submodule(own.removeprefix("text_encoder.")).weight
    parts = factors(own, weight)
    save_file({f"{module}{down}": parts[0], f"{module}{up}": parts[1]}, tmp_path / "theirs.safetensors")
    merged = read(tmp_path / "theirs.safetensors", miniature / "pipeline")
    assert list(merged) == [f"{own}.weight"]
    assert torch.allclose(merged[f"{own}.weight"], weight + parts[1] @ parts[0], atol=1e-6)


def test_alpha_of_peft_s_settings_in_the_metadata_counts_and_what_is_not_read_is_refused(miniature, pipe, tmp_path):
    path = peft_lora(tmp_path / "theirs.safetensors", pipe.unet)
    tensors, weight = load_file(path), pipe.unet.get_submodule(UNET_LINEAR).weight
    down, up = factors(UNET_LINEAR, weight)
    settings = {"unet.r": RANK, "unet.lora_alpha": 2 * RANK, "unet.target_modules": list(UNET_MODULES)}
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps(settings)})
    merged = read(path, miniature / "pipeline")[f"{UNET_LINEAR}.weight"]
    assert torch.allclose(merged, weight + 2 * up @ down, atol=1e-6)
    assert torch.allclose(merged, fused_by_diffusers(pipe, path)[f"{UNET_LINEAR}.weight"], atol=1e-6)
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps(settings | {"unet.use_rslora": True})})
    with pytest.raises(UserError, match=r"its metadata set unet\.use_rslora"):
        read(path, miniature / "pipeline")


STEM = f"lora_unet_{UNET_LINEAR.replace('.', '_')}"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (4, 3072)}, r"double_blocks.* no such tensor"),
        ({"transformer.blocks.0.attn.to_q.lora_A.weight": (4, 64)}, r"transformer\.blocks.* no such tensor"),
        (
            {f"{STEM}.lora_down.weight": (4, 2048), f"{STEM}.lora_up.weight": (32, 4)},
            r"lora_down\.weight \(4, 2048\) does not fit the base: \(4, \d+\) is expected",
        ),
        ({f"{STEM}.lora_up.weight": (32, 4)}, r"lora_up\.weight has no counterpart \(down\)"),
        ({f"{STEM}.hada_w1_a": (4, 4)}, r"hada_w1_a \(4, 4\) does not fit the base, which has no such tensor"),
        ({f"{STEM}.dora_scale": (4, 1)}, r"dora_scale"),
        ({}, "has no tensors"),
    ],
)  # fmt: skip
def test_a_lora_of_another_family_or_kind_is_refused_by_its_first_tensor(miniature, tmp_path, tensors, message):
    path = tmp_path / "theirs.safetensors"
    save_file({name: torch.ones(shape) for name, shape in tensors.items()}, path)
    with pytest.raises(UserError, match=message):
        read(path, miniature / "pipeline")


KOHYA_SDXL = {
    "lora_unet_input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
    "lora_unet_input_blocks_3_1_transformer_blocks_1_attn2_to_k": (
        "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k"
    ),
    "lora_unet_middle_block_1_proj_in": "mid_block.attentions.0.proj_in",
    "lora_unet_middle_block_2_emb_layers_1": "mid_block.resnets.1.time_emb_proj",
    "lora_unet_output_blocks_1_1_transformer_blocks_0_ff_net_2": (
        "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.2"
    ),
    "lora_unet_time_embed_2": "time_embedding.linear_2",
    "lora_unet_label_emb_0_0": "add_embedding.linear_1",
}
"""kohya's stems for modules of the tiny SDXL, which has one ResNet in a block on the way down."""


def test_kohya_s_names_for_sdxl_are_those_of_the_original_code(tmp_path):
    pipe = StableDiffusionXLPipeline.from_pretrained(build_sdxl(tmp_path / "base"))
    names = LoraNames(name.removesuffix(".weight") for name, _ in pipe.unet.named_parameters())
    found = {stem: names.find(f"{stem}.lora_down.weight") for stem in KOHYA_SDXL}
    assert found == {stem: (module, "down") for stem, module in KOHYA_SDXL.items()}


def test_diffusers_reads_kohya_s_attention_of_sdxl_into_the_same_modules(tmp_path):
    base = build_sdxl(tmp_path / "base")
    pipe = StableDiffusionXLPipeline.from_pretrained(base, dtype=torch.float32)
    inside = ("input_blocks_3_1", "middle_block_1", "output_blocks_0_1", "output_blocks_1_1")
    of_ours = (
        "down_blocks.1.attentions.0",
        "mid_block.attentions.0",
        "up_blocks.0.attentions.0",
        "up_blocks.0.attentions.1",
    )
    tensors = {}
    for stem, module in zip(inside, of_ours, strict=True):
        down, up = factors(module, pipe.unet.get_submodule(f"{module}.transformer_blocks.0.attn2.to_v").weight)
        name = f"lora_unet_{stem}_transformer_blocks_0_attn2_to_v"
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}
    save_file(tensors, tmp_path / "theirs.safetensors")
    ours = read(tmp_path / "theirs.safetensors", base)
    theirs = fused_by_diffusers(pipe, tmp_path / "theirs.safetensors")
    assert set(ours) == {f"{module}.transformer_blocks.0.attn2.to_v.weight" for module in of_ours}
    assert all(torch.allclose(theirs[name], value, atol=1e-6) for name, value in ours.items())


def test_the_second_text_encoder_of_sdxl_has_a_lora_of_its_own(tmp_path):
    base = build_sdxl(tmp_path / "base")
    pipe = StableDiffusionXLPipeline.from_pretrained(base)
    module = f"text_model.{TEXT_MODULE}"
    network = pipe.text_encoder_2
    weight = network.get_submodule(module if module in dict(network.named_modules()) else TEXT_MODULE).weight.float()
    down, up = factors("second", weight)
    stem = "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"
    save_file({f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}, tmp_path / "theirs.safetensors")
    merged = read(tmp_path / "theirs.safetensors", base)
    assert list(merged) == [f"text_encoder_2.{TEXT_MODULE}.weight"]
    assert torch.allclose(merged[f"text_encoder_2.{TEXT_MODULE}.weight"], weight + up @ down, atol=1e-6)
