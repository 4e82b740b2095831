"""A latent diffusion model with a text encoder, behind the few verbs that the stages need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.func import functional_call

from hfi_core.compute.batching import to_signed_tensor
from hfi_core.errors import UserError
from hfi_core.models.diffusion.folder import picture_side
from hfi_core.models.diffusion.schedule import NoiseSchedule
from hfi_core.models.diffusion.text_encoders import Text

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class TextToImage:
    """A Stable Diffusion 1.x, 2.x or SDXL shaped model; every network is frozen."""

    unet: torch.nn.Module
    vae: torch.nn.Module
    text: Text
    schedule: NoiseSchedule
    scheduler_config: Mapping[str, object]
    digest: str
    device: torch.device
    dtype: torch.dtype

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """Every network by the name of its folder."""
        return {"unet": self.unet, "vae": self.vae, **self.text.networks}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one picture's latents."""
        side = self.unet.config.sample_size
        return self.unet.config.in_channels, side, side

    @property
    def picture_size(self) -> int:
        """Pixels of a picture's side."""
        return picture_side(self.unet.config, self.vae.config)

    def encode(self, prompts: Sequence[str], tokens: Weights | None = None) -> torch.Tensor:
        """Text conditions (B, L, D); names of soft `tokens` may stand in prompts, and gradients reach their vectors."""
        return self.text.encode(prompts, tokens or {}).to(self.dtype)

    def predict(
        self, x_t: torch.Tensor, t: torch.Tensor, condition: torch.Tensor, weights: Weights | None = None
    ) -> torch.Tensor:
        """eps_theta(x_t, t, c) in float32, (B, C, H, W); `weights` stand in for UNet parameters of the same names.

        Weights learn in float32 and are cast to the model's precision on the way in.
        """
        attended, more = self.text.conditioned(condition)
        inputs = (x_t.to(self.dtype), t, attended)
        if weights:
            cast = {name: value.to(self.dtype) for name, value in weights.items()}
            output = functional_call(self.unet, cast, inputs, more).sample
        else:
            output = self.unet(*inputs, **more).sample
        return self.schedule.eps(output.float(), x_t.float(), t)

    @torch.no_grad()
    def encode_pictures(self, pictures: np.ndarray, block: int) -> torch.Tensor:
        """Scaled latents (N, C, H, W), float32, of uint8 pictures (N, H, W, 3): the posterior's mean."""
        parts = []
        for start in range(0, len(pictures), block):
            pixels = to_signed_tensor(pictures[start : start + block]).to(self.device, self.vae.dtype)
            mean = self.vae.encode(pixels).latent_dist.mean
            parts.append(mean.float() * self.vae.config.scaling_factor)
        return torch.cat(parts)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """Pictures uint8 (B, H, W, 3) of scaled latents.

        Raises UserError if they are not finite: they would be black pictures, in which no judge sees anything.
        """
        pixels = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample.float()
        if not pixels.isfinite().all():
            raise _not_finite(latents, self.vae.dtype)
        return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def cross_attention(self) -> dict[str, torch.Tensor]:
        """The UNet's cross-attention parameters by name: the small set that removal learns (Gandikota et al. 2023)."""
        return {name: value for name, value in self.unet.named_parameters() if ".attn2." in name}


def _not_finite(latents: torch.Tensor, dtype: torch.dtype) -> UserError:
    if latents.isfinite().all():
        where = f"The VAE's output, in {str(dtype).removeprefix('torch.')},"
    else:
        where = "What the UNet drew"
    return UserError(
        f"{where} is not finite, so there is no picture. If compute.dtype is float16, set it to bfloat16 or float32; "
        "if a removal's weights drew it, lower the removal's rate in params.yaml and let it learn again."
    )
