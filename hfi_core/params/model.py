"""Params of the model that is safeguarded, and of how its pictures are computed."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

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
