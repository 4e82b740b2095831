"""Read candidates, the pictures that people judge, and their manifest.

`candidates/CONCEPT/manifest.jsonl` has one JSON object per line, sorted by id. The pictures are in `pictures/`.
"""

from collections.abc import Mapping
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

from hfi_core.errors import UserError, first_mistake
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
    """Its path below the imported folder. Other tools know the picture by it; it is never opened."""
    sha256: Sha256
    changed: tuple[str, ...] = ()
    """What was done to the file, in order; empty if the picture is the file's own bytes."""
    copies: tuple[str, ...] = ()
    """Paths of other files with the same bytes."""

    @model_serializer(mode="wrap")
    def _drop_no_copies(self, handler: SerializerFunctionWrapHandler):
        return {name: value for name, value in handler(self).items() if name != "copies" or value}


class AttackOrigin(BaseModel):
    """The attack that brought a picture back, and what it attacked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: Annotated[int, Field(ge=1)]
    """Number of the round in which the picture became a candidate."""
    row: str
    """The row whose model drew the picture."""
    weights: Sha256 | None
    """Digest of the row's weights, or of its recipe; null for the base model."""
    attack: str
    attacker: str
    adversarial_prompt: str
    """What was drawn. It may name tokens of the attacker."""


class Candidate(BaseModel):
    """A row of the manifest. Its picture is `pictures/ID.png`: no path is ever read from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: PictureId
    prompt: str | None = None
    seed: int | None = Field(default=None, ge=0)
    sampler: Sampler | None = None
    model: str | None = None
    sha256: Sha256
    generated: bool = True
    """Whether prompt and seed are known. It is false for pictures whose origin nobody recorded."""
    original: Original | None = None
    attack: AttackOrigin | None = None
    """Only of a picture that an attack brought back. `prompt` is then the prompt in plain words."""

    @model_validator(mode="after")
    def _require_prompt_and_seed(self):
        if self.generated and (self.prompt is None or self.seed is None):
            raise ValueError(
                "a generated picture needs a prompt and a seed; set `generated` to false where they are unknown"
            )
        return self

    @model_serializer(mode="wrap")
    def _drop_unknown(self, handler: SerializerFunctionWrapHandler):
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def file(self) -> str:
        """Return the picture's path below the candidates' folder."""
        return f"pictures/{self.id}.png"


def read_manifest(folder: Path) -> list[Candidate]:
    """Return the candidates of a folder, sorted by id.

    Raises UserError, which names the file and the line of the first invalid row.
    """
    path = folder / MANIFEST
    rows: dict[str, Candidate] = {}
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                candidate = Candidate.model_validate_json(line)
                if candidate.id in rows:
                    raise UserError(f"{path}, line {number}: picture {candidate.id} occurs twice.")
                rows[candidate.id] = candidate
    except ValidationError as error:
        raise UserError(f"{path}, line {number}: {first_mistake(error)}") from error
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is missing: there are no candidates yet. To fix this: `hfi run` makes them."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise UserError(f"{path} has no rows.")
    return [rows[key] for key in sorted(rows)]


def join_manifests(manifests: Mapping[Path, list[Candidate]]) -> list[Candidate]:
    """Return the candidates of several folders, sorted by id. A picture is in one of them: it has one provenance.

    Raises UserError if two folders have the same picture, or the same id.
    """
    known: dict[str, tuple[Path, str]] = {}
    for folder, rows in manifests.items():
        own = {key: (folder, row.id) for row in rows for key in (row.id, row.sha256)}
        for key in own.keys() & known.keys():
            (first, id), (_, other) = known[key], own[key]
            what = "the same id" if key == id == other else "the same picture"
            raise UserError(
                f"{first} ({id}) and {folder} ({other}) have {what}, and a candidate has one provenance.\n"
                "  To fix this: remove it from the pictures of one of them, and import these again with --replace; or "
                "name only one of the folders in candidates.imported."
            )
        known |= own
    return sorted((row for rows in manifests.values() for row in rows), key=lambda row: row.id)


def read_pictures(folder: Path, candidates: list[Candidate]) -> np.ndarray:
    """Return pictures, uint8 (N, H, W, 3), each checked against its digest.

    Raises UserError if a picture is missing or incomplete, does not match the manifest, or differs in size.
    """
    pictures: list[np.ndarray] = []
    for candidate in candidates:
        path = folder / candidate.file
        if not path.is_file():
            raise UserError(f"{path} is missing, but the manifest names it.")
        if sha256_of_file(path) != candidate.sha256:
            raise UserError(f"{path} is not the picture that the manifest names (its sha256 differs).")
        picture = load_image(path)
        if pictures and picture.shape != pictures[0].shape:
            (h, w, _), (h0, w0, _) = picture.shape, pictures[0].shape
            raise UserError(
                f"{path} has {w} x {h} pixels, and the others have {w0} x {h0}. To fix this: scale them to one size."
            )
        pictures.append(picture)
    return np.stack(pictures)
