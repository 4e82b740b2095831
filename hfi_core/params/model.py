"""The model that is safeguarded, and how its pictures are computed."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hfi_core.params.values import Digest, Frozen


class Source(Frozen):
    """Where weights come from."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """`embedded`, a local folder, or a hub id."""
    revision: str | None
    """A hub id's commit; null for a folder or `embedded`."""
    digest: Digest
    """Digest of the weights and their configuration; `hfi params pin` writes it. Stages refuse other weights."""


class Compute(Frozen):
    """How the arithmetic is done. Equal values on one machine give equal bytes."""

    device: Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:\d+)?|mps)$")]
    """`cpu`, `cuda`, `cuda:1` or `mps`."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Precision of the frozen networks; what learns is kept in float32."""
    threads: int = Field(ge=1, le=256)
    """CPU threads; part of the result, since sums are split by thread."""
    block: int = Field(ge=1, le=1024)
    """Pictures computed together; the last block is padded, so order and shards change no byte."""
    checkpointing: bool
    """Compute the UNet's activations again in the backward pass: less memory, more time, the same result."""


class Sampler(Frozen):
    """How pictures are drawn, in every stage that draws some."""

    scheduler: Literal["dpm++", "ddim"]
    """`dpm++`: DPM-Solver++(2M) (Lu et al. 2022); `ddim`: Song et al. 2021."""
    steps: int = Field(ge=1, le=1000)
    """Denoising steps a picture."""
    guidance: float = Field(ge=1, le=50)
    """Classifier-free guidance scale; 1 is none."""
