"""Types of values in `params.yaml`."""

import re
from collections import Counter
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from hfi_core.errors import UserError

EMBEDDED = "embedded"
"""The name of the model, CLIP and judges that come with the package."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


def require_name(name: str, option: str = "") -> None:
    """Raise UserError, which begins with the option that gave it, if a text cannot be a name."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise UserError(
            f"{option} {name!r}: small letters, digits, `_` and `-` are allowed, at most 64.".lstrip()
        ) from error


def require_each_once(prompts: tuple[str, ...]) -> tuple[str, ...]:
    """Return prompts. Raises ValueError if one of them occurs twice."""
    if repeated := [prompt for prompt, count in Counter(prompts).items() if count > 1]:
        raise ValueError(
            f"prompt {repeated[0]!r} occurs twice: its pictures would have the same seeds and count twice. To fix "
            "this, remove one, and ask for more pictures per prompt"
        )
    return prompts


Prompts = Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=10_000), AfterValidator(require_each_once)]
OptionalPrompts = Annotated[tuple[Prompt, ...], Field(max_length=10_000), AfterValidator(require_each_once)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
UNPINNED = "sha256:" + "0" * 64
"""A digest that `hfi params pin` has not written yet."""
Share = Annotated[float, Field(ge=0, le=1)]


def require_inside_project(path: str) -> str:
    """Return a path. Raises ValueError if it is absolute or leads out of the project."""
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path inside the project is expected, relative and without `..`")
    return path


RelativePath = Annotated[str, AfterValidator(require_inside_project)]


class Frozen(BaseModel):
    """A section of params: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()-]+)*/?")
"""Bucket and prefix, in the characters that S3 calls safe."""


def _in_s3(address: str) -> str:
    if not _S3.fullmatch(address):
        raise ValueError("an address such as s3://bucket/prefix is expected")
    return address


S3Address = Annotated[str, AfterValidator(_in_s3)]
