"""The noise schedule: x_t from x0, and what a network predicts turned into noise (eps)."""

from dataclasses import dataclass

import torch

from hfi_core.errors import UserError

PREDICTION_TYPES = ("epsilon", "v_prediction")


@dataclass(frozen=True)
class NoiseSchedule:
    """alpha_bar (T,) of a variance-preserving diffusion (Ho et al. 2020) and the network's parameterisation."""

    alpha_bar: torch.Tensor
    prediction_type: str

    def __post_init__(self):
        if self.prediction_type not in PREDICTION_TYPES:
            raise UserError(
                f"The model predicts {self.prediction_type!r}; {' and '.join(PREDICTION_TYPES)} are supported."
            )
        if not self.alpha_bar[-1] > 0:
            raise UserError(
                "The model's noise schedule ends in pure noise (zero terminal SNR, `rescale_betas_zero_snr` in "
                "scheduler/scheduler_config.json), where v says nothing of the noise: such models are not supported. "
                "Name a base that was trained without it in model.source."
            )

    def _scales(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        alpha_bar = self.alpha_bar[t].reshape(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def add_noise(self, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x_t of clean latents (B, C, H, W) at timesteps (B,)."""
        a, s = self._scales(t)
        return a * x0 + s * eps

    def eps(self, output: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The noise that a network's output stands for (Salimans & Ho 2022, appendix D, for v)."""
        if self.prediction_type == "epsilon":
            return output
        a, s = self._scales(t)
        return a * output + s * x_t
