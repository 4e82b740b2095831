"""Safe Latent Diffusion, SLD (Schramowski et al. 2023, arXiv 2211.05105): guidance away from a safety concept S.

    eps = eps_0 + s_g (eps_p - eps_0 - gamma)                                         (eq. 3)
    gamma = mu (eps_S - eps_0) + s_m nu                                               (eqs. 4, 7)
    mu = min(1, |s_S (eps_p - eps_S)|) where eps_p - eps_S < lambda, and 0 elsewhere  (eqs. 5, 6)
    nu' = beta_m nu + (1 - beta_m) gamma                                              (eq. 8)

gamma is left out of eq. 3 during the warm-up, while nu already gathers it. The clamp at 1 and the numbers of the
equations are those of the authors' code in diffusers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

Strength = Literal["weak", "medium", "strong", "max"]
_PAPER_STEPS = 50
"""Steps of the roll-outs that the paper's warm-up is counted in."""


@dataclass(frozen=True)
class SafetySettings:
    """The numbers of SLD."""

    warmup: int
    """delta, in steps of 50."""
    scale: float
    """s_S."""
    threshold: float
    """lambda."""
    momentum: float
    """s_m."""
    decay: float
    """beta_m."""


SETTINGS: Mapping[Strength, SafetySettings] = {
    "weak": SafetySettings(15, 200, 0.0, 0.0, 0.0),
    "medium": SafetySettings(10, 1000, 0.01, 0.3, 0.4),
    "strong": SafetySettings(7, 2000, 0.025, 0.5, 0.7),
    "max": SafetySettings(0, 5000, 1.0, 0.5, 0.7),
}
"""The paper's four configurations."""


def scale_warmup(settings: SafetySettings, steps: int) -> int:
    """Return the steps of the warm-up in a roll-out of `steps` steps: the same share of it as in the paper."""
    return round(settings.warmup * steps / _PAPER_STEPS)


@dataclass(frozen=True)
class SafetyConcept:
    """What SLD guides away from."""

    condition: torch.Tensor
    """(L, D)."""
    settings: SafetySettings


class SafetyGuidance:
    """The guidance of one roll-out. Its momentum goes from step to step."""

    def __init__(self, settings: SafetySettings, steps: int) -> None:
        """Begin a roll-out of `steps` steps."""
        self._settings = settings
        self._warmup = scale_warmup(settings, steps)
        self._step = 0
        self._nu: torch.Tensor | None = None

    def direction(self, eps_0: torch.Tensor, eps_p: torch.Tensor, eps_s: torch.Tensor) -> torch.Tensor:
        """Return what s_g multiplies in eq. 3, and go one step on.

        Args:
            eps_0: the estimate (B, C, H, W) for the empty prompt.
            eps_p: that for the picture's prompt.
            eps_s: that for the safety concept.
        """
        settings = self._settings
        difference = eps_p - eps_s
        mu = (settings.scale * difference).abs().clamp(max=1).where(difference < settings.threshold, 0)
        nu = torch.zeros_like(eps_0) if self._nu is None else self._nu
        gamma = mu * (eps_s - eps_0) + settings.momentum * nu
        self._nu = settings.decay * nu + (1 - settings.decay) * gamma
        guided = eps_p - eps_0 - gamma if self._step >= self._warmup else eps_p - eps_0
        self._step += 1
        return guided
