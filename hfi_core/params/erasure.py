"""How a concept is taken out of the model, and how it is fetched back."""

from typing import Annotated, Literal

from pydantic import Field

from hfi_core.params.values import Frozen, Prompt


class NoRemoval(Frozen):
    """The base model, as it is."""

    method: Literal["none"]


class _Distillation(Frozen):
    steps: int = Field(ge=1, le=1_000_000)
    """Gradient steps (for `anchored`: a round)."""
    batch: int = Field(ge=1, le=1024)
    """Latents a gradient step and condition."""
    rate: float = Field(gt=0, le=1)
    """AdamW's learning rate."""
    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the teacher, which is what is kept."""
    guidance: float = Field(ge=1, le=50)
    """Guidance scale of the teacher's roll-outs."""
    rollout_steps: int = Field(ge=2, le=1000)
    """Denoising steps a roll-out; each visited latent is a training point."""
    rollouts: int = Field(ge=1, le=1024)
    """Roll-outs drawn together for each condition."""
    reuse: int = Field(ge=1, le=1000)
    """Gradient steps that learn from the same roll-outs."""
    concentration: int = Field(ge=1, le=100)
    """t follows Beta(concentration, concentration) over the roll-out: 3 in HFI, section 4; 1 is uniform."""


class SDD(_Distillation):
    """Safe self-distillation (Kim et al. 2023) under the text or under v* (HFI, section 4)."""

    method: Literal["sdd"]
    condition: Literal["text", "token"]


class Anchored(_Distillation):
    """Text and v* are mapped onto u*, the anchor inverted from accepted feedback; in adversarial rounds."""

    method: Literal["anchored"]
    rounds: int = Field(ge=1, le=10)
    """From the second round on, a token re-inverted on the safeguarded model is mapped too."""
    contrast: float = Field(ge=0, le=10)
    """How far the anchor is pushed away from v*; 0 is u* alone."""
    preserve: bool
    """One lesson more: what the model draws without the concept's words stays as it is."""
    reinvert_steps: int = Field(ge=1, le=1_000_000)
    """Steps of each re-inversion between rounds."""


class ClosedForm(Frozen):
    """The anchored mapping solved for in keys and values alone (Orgad et al. 2023; Gandikota et al. 2024): seconds."""

    method: Literal["closed_form"]
    contrast: float = Field(ge=0, le=10)
    """As in `anchored`."""
    hold: float = Field(ge=0, le=1000)
    """How strongly words of the model's vocabulary are held; what is mapped weighs 1."""
    ridge: float = Field(gt=0, le=1000)
    """How strongly weights are held in every direction."""


Removal = Annotated[NoRemoval | SDD | Anchored | ClosedForm, Field(discriminator="method")]


class Attack(Frozen):
    """Re-inversion on the safeguarded model (Pham et al. 2023): other start, seeds and pictures than removal saw."""

    attackers: int = Field(ge=1, le=100)
    """How many, who differ in their seeds alone; each inverts a token of his own, which costs `steps` steps."""
    start: Prompt
    """Word the attacker starts from."""
    vectors: int = Field(ge=1, le=16)
    held_out: Annotated[float, Field(gt=0, lt=1)]
    """Share of candidates kept for the attacker; inversion and removal never see them."""
    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    rate: float = Field(gt=0, le=10)
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """As in `invert`."""
