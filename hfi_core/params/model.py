"""Params of the model that is safeguarded, and of how its pictures are computed."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from hfi_core.params.values import Digest, Frozen


def _is_commit(revision: str) -> str:
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError(
            "a commit of 40 hexadecimal digits is expected, because a branch or a tag moves. To fix this: copy it from "
            "the history of the repository on the hub. For a folder, it is null"
        )
    return revision


Commit = Annotated[str, AfterValidator(_is_commit)]


class Source(Frozen):
    """The source of weights."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """`embedded`, a local folder, or a hub id."""
    revision: Commit | None
    """A hub id's commit; null for a folder or `embedded`."""
    digest: Digest
    """Digest of the weights and their configuration; `hfi params pin` writes it. Stages reject other weights."""


class Compute(Frozen):
    """How computations are done. The same values on the same machine give the same bytes."""

    device: Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:\d+)?|mps)$")]
    """`cpu`, `cuda`, `cuda:1` or `mps`."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Precision of the frozen networks; trained parameters are float32."""
    threads: int = Field(ge=1, le=256)
    """CPU threads. They affect the result, because sums are split by thread."""
    block: int = Field(ge=1, le=1024)
    """Pictures that are computed together. The last block is padded, so order and shards do not change any byte."""
    checkpointing: bool
    """Compute the UNet's activations again in the backward pass: less memory, more time, same result."""


class Sampler(Frozen):
    """How every stage draws its pictures."""

    scheduler: Literal["dpm++", "ddim"]
    """`dpm++`: DPM-Solver++(2M) (Lu et al. 2022); `ddim`: Song et al. 2021."""
    steps: int = Field(ge=1, le=1000)
    """Denoising steps per picture."""
    guidance: float = Field(ge=1, le=50)
    """Classifier-free guidance scale; 1 is no guidance."""
    # Defaults are not in a dump: params without these keys have the work keys that they always had.
    guidance_start: float = Field(default=0.0, ge=0, lt=1, exclude_if=lambda start: start == 0)
    """Share of the steps before guidance starts (Kynkäänniemi et al. 2024). A step without guidance costs half."""
    guidance_stop: float = Field(default=1.0, gt=0, le=1, exclude_if=lambda stop: stop == 1)
    """Share of the steps after which guidance stops."""

    @model_validator(mode="after")
    def _interval(self):
        if self.guidance_start >= self.guidance_stop:
            raise ValueError("guidance_start must be smaller than guidance_stop")
        return self

    @property
    def guided(self) -> range:
        """The numbers of the steps with guidance, by the rule of diffusers' guiders."""
        return range(int(self.guidance_start * self.steps), int(self.guidance_stop * self.steps))
