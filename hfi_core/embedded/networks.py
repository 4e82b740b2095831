"""Define the networks of the embedded model. Only the judge is a class of our own."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import WORLDS, World
from hfi_core.embedded.tokenizer import MAX_TOKENS
from hfi_core.errors import UserError
from hfi_core.io.tensors import load_tensors, save_tensors

WIDTH = 64
"""Width of the text encoders."""
LATENT = SIZE // 4
"""Side of the latents."""

UNREADABLE = "unreadable"
NO_EMBLEM = "none"


def list_facts(world: World) -> dict[str, tuple[str, ...]]:
    """Return what a judge reads in a picture: the possible values of each fact."""
    return {
        "kind": (*world.kinds, UNREADABLE),
        "colour": tuple(world.colours),
        "background": tuple(world.backgrounds),
        "emblem": (*world.emblems, NO_EMBLEM, UNREADABLE),
    }


def build_vae() -> AutoencoderKL:
    """Build a VAE with downsampling factor 4, four latent channels and 0.65 M parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=SIZE,
    )


WIDTHS = (32, 64, 96)
"""Channels of the UNet at each level."""


def build_unet(widths: tuple[int, int, int] = WIDTHS) -> UNet2DConditionModel:
    """Build a UNet of 2.5 M parameters: three levels, with cross-attention in the lowest. Widths are multiples of 16.

    The text decides what the whole picture shows, so it need not reach the finer levels, where it costs most.
    """
    return UNet2DConditionModel(
        sample_size=LATENT,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Build the noise schedule of Stable Diffusion."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip


def _text_settings(tokenizer: CLIPTokenizer) -> dict:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": MAX_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Build a text encoder of two layers."""
    return CLIPTextModel(CLIPTextConfig(**_text_settings(tokenizer)))


def build_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Build a small CLIP for the reward model's embeddings and the CLIP score. It shares nothing with the judges."""
    return CLIPModel(
        CLIPConfig(
            text_config=_text_settings(tokenizer),
            vision_config={
                "image_size": SIZE, "patch_size": 8, "hidden_size": 96, "intermediate_size": 288,
                "num_hidden_layers": 4, "num_attention_heads": 4,
            },
            projection_dim=WIDTH,
        )
    )  # fmt: skip


class JudgeNetwork(nn.Module):
    """Strided convolutions with one head for each fact, and one head for the strength of each style."""

    def __init__(self, world: World, width: int = 24):
        super().__init__()
        self.world, self.facts = world, list_facts(world)
        widths = (3, width, 2 * width, 3 * width, 4 * width)
        layers: list[nn.Module] = []
        for narrow, wide in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1), nn.GroupNorm(8, wide), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 16, 128), nn.SiLU())
        self.heads = nn.ModuleDict({fact: nn.Linear(128, len(values)) for fact, values in self.facts.items()})
        self.strength = nn.Linear(128, len(world.styles))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map images (B, 3, 64, 64) in [-1, 1] to logits (B, values) by fact, and `strength` (B, 2) in [0, 1]."""
        features = self.body(images)
        return {fact: head(features) for fact, head in self.heads.items()} | {
            "strength": self.strength(features).sigmoid()
        }


WEIGHTS = "model.safetensors"


def save_judge_network(path: Path, network: JudgeNetwork) -> None:
    """Write the weights of a judge in half precision, with the name of its world."""
    save_tensors(path, network.half().state_dict(), {"world": network.world.name})


def load_judge_network(folder: Path) -> JudgeNetwork:
    """Load one of the two judges, frozen, in float32.

    Raises UserError if the weights are missing or damaged, or belong to another network.
    """
    tensors, meta = load_tensors(folder / WEIGHTS)
    world = WORLDS.get(str(meta.get("world")))
    if world is None:
        raise UserError(
            f"{folder / WEIGHTS} is not a judge of an embedded model: it names none of {', '.join(WORLDS)}."
        )
    network = JudgeNetwork(world)
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS} does not fit a judge of the embedded model: {str(error)[:300]}") from error
    return network.eval().requires_grad_(False)
