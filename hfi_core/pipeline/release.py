"""The files of a finished release, its digest, and the check that it is complete."""

import json
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.io.digests import DIGESTS
from hfi_core.io.hashing import sha256_of_file
from hfi_core.pipeline.layout import RELEASE

LORA_WEIGHTS = "lora/pytorch_lora_weights.safetensors"
"""The path that `load_lora_weights` of diffusers expects."""
LORA_ACCURACY = "lora/accuracy.json"
"""The LoRA's rank, and its remaining difference to the release."""

RECIPE_NUMBERS = "recipe.json"
"""What a release has in place of weights, if its row is a recipe of sampling."""


def release_digest(release: Path = RELEASE) -> str:
    """Return the digest that identifies a release: that of its list of digests.

    Raises UserError if there is no release.
    """
    if not (release / DIGESTS).exists():
        raise UserError(f"There is no release in {release}: `hfi run` makes it.")
    return sha256_of_file(release / DIGESTS)


def require_whole(release: Path) -> dict[str, str]:
    """Return the digest of each file that a release lists.

    Raises UserError if a file is missing or has another digest, or if a name leads out of the release.
    """
    listed = json.loads((release / DIGESTS).read_text(encoding="utf-8"))["files"]
    for name, digest in listed.items():
        path = release / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{release / DIGESTS} names {name}, which is not a file of the release.")
        if not path.is_file() or f"sha256:{sha256_of_file(path)}" != digest:
            raise UserError(f"{path} is not what {release / DIGESTS} lists: remove {release} and run `hfi run` again.")
    return listed
