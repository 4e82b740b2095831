"""Params of the removals, which erase a concept from the model, and of the attack, which tries to recover it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hfi_core.params.values import Digest, Frozen, Prompt


class NoRemoval(Frozen):
    """The base model, unchanged."""

    method: Literal["none"]


class _Distillation(Frozen):
    steps: int = Field(ge=1, le=1_000_000)
    """Gradient steps (for `anchored`: of each round)."""
    batch: int = Field(ge=1, le=1024)
    """Latents per gradient step and condition."""
    rate: float = Field(gt=0, le=1)
    """AdamW's learning rate."""
    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the exponential moving average of the weights. The average is the teacher and the result."""
    guidance: float = Field(ge=1, le=50)
    """Guidance scale of the teacher's roll-outs."""
    rollout_steps: int = Field(ge=2, le=1000)
    """Denoising steps of a roll-out; each visited latent is a training example."""
    rollouts: int = Field(ge=1, le=1024)
    """Roll-outs that are drawn together for each condition."""
    reuse: int = Field(ge=1, le=1000)
    """Gradient steps that use the same roll-outs."""
    concentration: int = Field(ge=1, le=100)
    """t is drawn from Beta(concentration, concentration) over the roll-out: 3 in HFI, section 4; 1 is uniform."""


class SDD(_Distillation):
    """Safe self-distillation (Kim et al. 2023), conditioned on the text or on v* (HFI, section 4)."""

    method: Literal["sdd"]
    condition: Literal["text", "token"]


class Anchored(_Distillation):
    """Text and v* are mapped onto the anchor u*, which is inverted from accepted feedback, in adversarial rounds."""

    method: Literal["anchored"]
    rounds: int = Field(ge=1, le=10)
    """From the second round on, a token that is re-inverted on the safeguarded model is mapped as well."""
    contrast: float = Field(ge=0, le=10)
    """How far the anchor is moved away from v*; with 0 it is u* itself."""
    preserve: bool
    """Adds one term to the loss: what the model draws without the concept's words stays the same."""
    reinvert_steps: int = Field(ge=1, le=1_000_000)
    """Steps of each re-inversion between rounds."""


class ClosedForm(Frozen):
    """The anchored mapping in closed form, for keys and values (Orgad et al. 2023; Gandikota et al. 2024)."""

    method: Literal["closed_form"]
    contrast: float = Field(ge=0, le=10)
    """As in `anchored`."""
    hold: float = Field(ge=0, le=1000)
    """How strongly words of the model's vocabulary are kept unchanged; a mapped condition has weight 1."""
    ridge: float = Field(gt=0, le=1000)
    """How strongly weights are kept unchanged in every direction."""


class Imported(Frozen):
    """Weights that somebody else changed: read, then judged and attacked like those of the other rows."""

    method: Literal["imported"]
    source: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """A safetensors file, or a folder that `save_pretrained` wrote."""
    kind: Literal["pipeline", "unet", "text_encoder", "lora"]
    """What the source holds. `unet` may be partial; a `lora` is merged at scale 1."""
    digest: Digest
    """Digest of the source; `hfi params pin` writes it. The stage distill rejects other weights."""


class Negative(Frozen):
    """The base with a negative prompt: the text concept or v* takes the place of the empty prompt in guidance."""

    method: Literal["negative"]
    condition: Literal["text", "token"]


class SLD(Frozen):
    """The base, guided away from the text concept or from v* by Safe Latent Diffusion (Schramowski et al. 2023)."""

    method: Literal["sld"]
    condition: Literal["text", "token"]
    strength: Literal["weak", "medium", "strong", "max"]
    """The paper's configuration."""


Removal = Annotated[NoRemoval | SDD | Anchored | ClosedForm | Imported | Negative | SLD, Field(discriminator="method")]


def is_learned(removal: Removal) -> bool:
    """Return whether the stage distill learns this row's weights, so that they have a curve."""
    return not isinstance(removal, NoRemoval | Imported | Negative | SLD)


def is_recipe(removal: Removal) -> bool:
    """Return whether a row is a recipe of sampling: it draws otherwise than the base, with the base's weights."""
    return isinstance(removal, Negative | SLD)


class Attack(Frozen):
    """Re-inversion on the safeguarded model (Pham et al. 2023), with a start word, seeds and pictures of its own."""

    attackers: int = Field(ge=1, le=100)
    """Number of attackers, which differ in their seeds only. Each inverts its own token in `steps` steps."""
    start: Prompt
    """Word that the attacker starts from."""
    vectors: int = Field(ge=1, le=16)
    held_out: Annotated[float, Field(gt=0, lt=1)]
    """Share of the candidates that only the attacker sees; inversion and removal never do."""
    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    rate: float = Field(gt=0, le=10)
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """As in `invert`."""
