"""Candidates: the pictures that people judge, with a manifest row each.

`candidates/CONCEPT/manifest.jsonl` holds one JSON object a line, sorted by id; pictures lie under `pictures/`.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.images import load_image
from hfi_core.params import Sampler

MANIFEST = "manifest.jsonl"
PictureId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Original(BaseModel):
    """The file that a picture was imported from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """Its path below the imported folder; what other tools know it by, and never opened."""
    sha256: Sha256
    changed: tuple[str, ...] = ()
    """What was done to it, in order: empty where the picture is the file's own bytes."""


class Candidate(BaseModel):
    """A manifest row. Its picture is `pictures/ID.png`: a path is never taken from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: PictureId
    prompt: str | None = None
    seed: int | None = Field(default=None, ge=0)
    sampler: Sampler | None = None
    model: str | None = None
    sha256: Sha256
    generated: bool = True
    """Prompt and seed are known; false for pictures whose making nobody wrote down."""
    original: Original | None = None

    @model_validator(mode="after")
    def _generated_says_how(self):
        if self.generated and (self.prompt is None or self.seed is None):
            raise ValueError("a generated picture has a prompt and a seed; `generated` is false where they are unknown")
        return self

    @model_serializer(mode="wrap")
    def _known_only(self, handler: SerializerFunctionWrapHandler):
        """What is unknown is left out."""
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def file(self) -> str:
        """Path below the candidates' folder."""
        return f"pictures/{self.id}.png"


def read_manifest(folder: Path) -> list[Candidate]:
    """The candidates in a folder, sorted by id.

    Raises UserError that names file and line of the first row that is wrong.
    """
    path = folder / MANIFEST
    rows: dict[str, Candidate] = {}
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                candidate = Candidate.model_validate_json(line)
                if candidate.id in rows:
                    raise UserError(f"{path}, line {number}: picture {candidate.id} is there twice.")
                rows[candidate.id] = candidate
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "row"
        raise UserError(f"{path}, line {number}: {where}: {first['msg']}") from error
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: there are no candidates yet. `hfi run` makes them.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise UserError(f"{path} names no picture.")
    return [rows[key] for key in sorted(rows)]


def read_pictures(folder: Path, candidates: list[Candidate]) -> np.ndarray:
    """Pictures as uint8 (N, H, W, 3), each checked against its digest.

    Raises UserError if a picture is missing, torn, another one than the manifest says, or of another size.
    """
    pictures: list[np.ndarray] = []
    for candidate in candidates:
        path = folder / candidate.file
        if not path.is_file():
            raise UserError(f"{path} is missing; the manifest names it.")
        if sha256_of_file(path) != candidate.sha256:
            raise UserError(f"{path} is not the picture that the manifest names (its sha256 differs).")
        picture = load_image(path)
        if pictures and picture.shape != pictures[0].shape:
            (h, w, _), (h0, w0, _) = picture.shape, pictures[0].shape
            raise UserError(f"{path} is {w} x {h} pixels where the others are {w0} x {h0}; bring them to one size.")
        pictures.append(picture)
    return np.stack(pictures)
