"""Params of what is trained on the labels: the reward model and the soft tokens."""

from typing import Annotated

from pydantic import Field, model_validator

from hfi_core.params.values import Frozen

Contrast = Annotated[float, Field(ge=0, le=1, exclude_if=lambda contrast: contrast == 0)]
"""Weight of the pictures of the other side in an inversion. Its default, 0, is not in a dump: params without it have
the work keys that they always had."""


def require_room_for_both_sides(contrast: float, batch: int) -> None:
    """Raise ValueError if a batch has no room for both sides of an inversion with contrast."""
    if contrast and batch < 2:
        raise ValueError("with contrast, half of each batch are pictures of the other side: set batch to 2 or more")


class Reward(Frozen):
    """The reward model: an MLP on frozen CLIP image embeddings (HFI, section 3)."""

    hidden: int = Field(ge=1, le=8192)
    """Width of the hidden layer."""
    steps: int = Field(ge=1, le=1_000_000)
    rate: float = Field(gt=0, le=1)
    """AdamW's learning rate."""
    weight_decay: float = Field(ge=0, le=10)
    held_out: Annotated[float, Field(gt=0, lt=0.9)]
    """Share of pictures that early stopping and the model's figures use."""
    least: int = Field(ge=4)
    """Smallest number of labelled pictures for training; with fewer, the stage fails."""


class Invert(Frozen):
    """Reward-weighted textual inversion (HFI, section 3; Gal et al. 2022)."""

    vectors: int = Field(ge=1, le=16)
    """Embedding vectors per soft token."""
    top: int = Field(ge=1)
    """K: the token is trained on the K pictures with the highest (for u*: lowest) reward."""
    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    rate: float = Field(gt=0, le=10)
    """AdamW's learning rate at the start; it falls to 0."""
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """Share of the timesteps, from the noisiest down, that training uses; 1 is all (Gal et al. 2022)."""
    contrast: Contrast = 0.0
    """How strongly a token is moved away from the pictures of the other side (v*: accepted, u*: objectionable), which
    are half of each batch then. 0 is HFI's own loss; with more, a token draws its side in more of its pictures."""
    check: int = Field(ge=0, le=10_000)
    """Pictures drawn with each token and scored by the reward model."""

    @model_validator(mode="after")
    def _room_for_both_sides(self):
        require_room_for_both_sides(self.contrast, self.batch)
        return self
