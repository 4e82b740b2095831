"""A latent diffusion model with its text encoders, and the few methods that the stages need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.func import functional_call

from hfi_core.compute.batching import to_signed_tensor
from hfi_core.errors import UserError
from hfi_core.models.diffusion.folder import picture_side
from hfi_core.models.diffusion.recipe import Recipe
from hfi_core.models.diffusion.schedule import NoiseSchedule
from hfi_core.models.diffusion.text_encoders import TextEncoders
from hfi_core.params import Learns, Sampler, is_trained_parameter

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class TextToImage:
    """A model of the Stable Diffusion 1.x, 2.x or SDXL family. All its networks are frozen."""

    unet: torch.nn.Module
    vae: torch.nn.Module
    text: TextEncoders
    schedule: NoiseSchedule
    scheduler_config: Mapping[str, object]
    digest: str
    folder: Path
    """The diffusers folder that the base model was read from."""
    device: torch.device
    dtype: torch.dtype
    sampler: Sampler | None = None
    """How `hfi_core.sample` draws pictures."""
    recipe: Recipe | None = None
    """What its pictures avoid, if it is the model of a row that trains nothing."""
    block: int = 1
    """Pictures that are computed together; see `compute.block`."""

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """Return all networks by the names of their folders."""
        return {"unet": self.unet, "vae": self.vae, **self.text.networks}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Return the shape (C, H, W) of one picture's latents."""
        side = self.unet.config.sample_size
        return self.unet.config.in_channels, side, side

    @property
    def picture_size(self) -> int:
        """Return the side of a picture in pixels."""
        return picture_side(self.unet.config, self.vae.config)

    def encode(self, prompts: Sequence[str], tokens: Weights | None = None) -> torch.Tensor:
        """Return text conditions (B, L, D). Prompts may name soft `tokens`; gradients reach their vectors."""
        return self.text.encode(prompts, tokens or {}).to(self.dtype)

    def predict(
        self, x_t: torch.Tensor, t: torch.Tensor, condition: torch.Tensor, weights: Weights | None = None
    ) -> torch.Tensor:
        """Return eps_theta(x_t, t, c) in float32, (B, C, H, W). `weights` replace UNet parameters of the same names.

        Weights are trained in float32 and are cast to the model's precision here.
        """
        context, options = self.text.unet_inputs(condition)
        inputs = (x_t.to(self.dtype), t, context)
        if weights:
            cast = {name: value.to(self.dtype) for name, value in weights.items()}
            output = functional_call(self.unet, cast, inputs, options).sample
        else:
            output = self.unet(*inputs, **options).sample
        return self.schedule.eps_from_output(output.float(), x_t.float(), t)

    @torch.no_grad()
    def encode_pictures(self, pictures: np.ndarray, block: int) -> torch.Tensor:
        """Return scaled latents (N, C, H, W), float32, of pictures, uint8 (N, H, W, 3): the posterior's mean."""
        parts = []
        for start in range(0, len(pictures), block):
            pixels = to_signed_tensor(pictures[start : start + block]).to(self.device, self.vae.dtype)
            mean = self.vae.encode(pixels).latent_dist.mean
            parts.append(mean.float() * self.vae.config.scaling_factor)
        return torch.cat(parts)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """Return pictures, uint8 (B, H, W, 3), of scaled latents.

        Raises UserError if they are not finite: the pictures would be black, and no judge would flag them.
        """
        pixels = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample.float()
        if not pixels.isfinite().all():
            raise _divergence_error(latents, self.vae.dtype)
        return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def removable(self) -> dict[str, torch.Tensor]:
        """Return every parameter that a removal may change, by its name in `weights.safetensors`.

        A UNet's parameter has its own name. A text encoder's stands after the name of its folder, without the
        `text_model.` that only some versions of transformers write.
        """
        named = dict(self.unet.named_parameters())
        for part, encoder in self.text.networks.items():
            named |= {f"{part}.{name.removeprefix('text_model.')}": value for name, value in encoder.named_parameters()}
        return named

    def unet_parameters(self, learns: Learns) -> dict[str, torch.Tensor]:
        """Return those parameters of the UNet, by name, that a removal with this setting trains."""
        return {name: value for name, value in self.unet.named_parameters() if is_trained_parameter(name, learns)}

    def require_fitting(self, weights: Weights, origin: str) -> None:
        """Raise UserError if weights that code of another package, `origin`, returned do not fit the UNet."""
        own = self.unet_parameters("all")
        for name, value in weights.items():
            if name not in own or own[name].shape != value.shape:
                raise UserError(
                    f"{origin} of another package returned {name} {tuple(value.shape)}, which does not fit this UNet. "
                    "To fix this: ask its authors."
                )

    def cross_attention(self) -> dict[str, torch.Tensor]:
        """Return the UNet's cross-attention parameters by name: removal by default trains only these (ESD-x)."""
        return self.unet_parameters("cross")


def _divergence_error(latents: torch.Tensor, dtype: torch.dtype) -> UserError:
    finite = latents.isfinite().all()
    output = f"The output of the VAE, in {str(dtype).removeprefix('torch.')}," if finite else "The output of the UNet"
    return UserError(
        f"{output} is not finite, so there is no picture. To fix this: if compute.dtype is float16, set it to bfloat16 "
        "or float32; if a removal changed the weights, lower its rate in params.yaml and run it again."
    )
