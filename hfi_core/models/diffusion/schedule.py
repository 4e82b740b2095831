"""The noise schedule: compute x_t from x0, and noise (eps) from the output of a network."""

from dataclasses import dataclass

import torch

from hfi_core.errors import UserError

PREDICTION_TYPES = ("epsilon", "v_prediction")


@dataclass(frozen=True)
class NoiseSchedule:
    """alpha_bar (T,) of a variance-preserving diffusion (Ho et al. 2020), and what the network predicts."""

    alpha_bar: torch.Tensor
    prediction_type: str

    def __post_init__(self):
        if self.prediction_type not in PREDICTION_TYPES:
            raise UserError(
                f"The model predicts {self.prediction_type!r}; only {' and '.join(PREDICTION_TYPES)} are supported."
            )
        if not self.alpha_bar[-1] > 0:
            raise UserError(
                "The model's noise schedule ends in pure noise (zero terminal SNR, `rescale_betas_zero_snr` in "
                "scheduler/scheduler_config.json). There v does not determine the noise, which is not supported.\n"
                "  To fix this: name a base in model.source that was trained without it."
            )

    def _scales(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        alpha_bar = self.alpha_bar[t].reshape(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def add_noise(self, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return x_t of clean latents (B, C, H, W) with noise eps at timesteps (B,)."""
        a, s = self._scales(t)
        return a * x0 + s * eps

    def eps_from_output(self, output: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return the noise that a network's output implies (for v: Salimans & Ho 2022, appendix D)."""
        if self.prediction_type == "epsilon":
            return output
        a, s = self._scales(t)
        return a * output + s * x_t

    def output_error(self, eps_error: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return the error of a network's output at timesteps t (B,) that an error of its noise estimate implies.

        Losses are taken in the network's own target. In eps, the loss of a network that predicts v would be weighted by
        alpha_bar, so the noisiest timesteps, which decide what a picture shows, would hardly count.
        """
        return eps_error if self.prediction_type == "epsilon" else eps_error / self._scales(t)[0]
