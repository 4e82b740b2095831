"""Write a safeguarded model as a folder that a person can use without this project."""

from collections.abc import Sequence
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.inversion.token_pair import TokenPair
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.digests import write_digests
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.saving import save_model


def save_release(model: TextToImage, folder: Path | str, *, tokens: Sequence[TokenPair] = ()) -> None:
    """Write a model to `model/` below a folder, its tokens to `tokens/`, and the digests of all files.

    `from_pretrained` of diffusers loads `model/`. Its precision is that of the model. The folder appears whole or not
    at all; an existing folder is replaced. The stage `package` writes more: the figures, the model card with its
    pictures, and a LoRA.

    Raises UserError if the model draws by a recipe: its weights alone are those of the base.
    """
    if model.recipe:
        raise UserError(
            f"The model avoids {model.recipe.prompt!r} by a recipe of sampling, which a diffusers folder cannot hold: "
            "its weights are those of the base.\n  To fix this: save the tokens, and draw with the recipe."
        )
    with atomic_folder(Path(folder)) as release:
        save_model(model, release / "model")
        for pair in tokens:
            pair.save(release / "tokens" / pair.concept, model.text.widths)
        write_digests(release, model.digest)
