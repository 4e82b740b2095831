"""Types that every part of `params.yaml` is made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

EMBEDDED = "embedded"
"""The word for the model, CLIP and judges that come with the package."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


def _inside_the_project(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path inside the project is expected, relative and without `..`")
    return path


RelativePath = Annotated[str, AfterValidator(_inside_the_project)]


class Frozen(BaseModel):
    """A part that never changes and has no keys but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
