"""Take concepts out of a model by one of the removals that params name (method, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hfi_core.erasure.methods import find_method
from hfi_core.erasure.recipes import make_recipe
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.erasure.trainer import StepCallback
from hfi_core.errors import UserError
from hfi_core.inversion.examples import judged_pictures
from hfi_core.inversion.token_pair import TokenPair
from hfi_core.models.diffusion.loading import with_weights
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.imported import read_imported
from hfi_core.params import SLD, Imported, Negative, NoRemoval, Params
from hfi_core.progress import Progress, no_progress


@dataclass(frozen=True)
class LearnedRemoval:
    """The result of a removal: the UNet's weights that it changed, and how it learned them."""

    weights: dict[str, torch.Tensor]
    """The teacher's weights by the name of the UNet's parameter."""
    losses: list[float]
    """The loss of every step."""

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(value.numel() for value in self.weights.values())


def learn_removal(
    model: TextToImage,
    tokens: Sequence[TokenPair],
    row: str,
    params: Params,
    *,
    work: Path | None = None,
    before_step: StepCallback = lambda step, teacher: None,
    progress: Progress = no_progress,
) -> LearnedRemoval:
    """Learn the removal that `params.removals` calls `row`, for all concepts together. The model does not change.

    Args:
        tokens: the tokens of every concept, from `invert`.
        work: folder for checkpoints; None writes none.
        before_step: called before every step, with the number of the step and the teacher's weights.

    Raises UserError if a loss diverges.
    """
    spec = params.removals[row]
    concepts = [_prepare_concept(model, pair, params) for pair in tokens]
    learn = find_method(spec)
    weights, losses = learn(
        model, concepts, spec, params, key=(params.seed, row), work=work, before_step=before_step, progress=progress
    )
    return LearnedRemoval(weights, losses)


def erase(
    model: TextToImage,
    tokens: TokenPair | Sequence[TokenPair],
    method: str,
    params: Params,
    *,
    work: Path | None = None,
    progress: Progress = no_progress,
) -> TextToImage:
    """Return a safeguarded model: one that no longer draws what people object to.

    The base model does not change, and both share the weights that the removal leaves as they are.

    Args:
        tokens: the tokens of one concept, from `invert`, or those of several concepts, which are removed together.
            An imported removal uses none.
        method: the removal's name in `params.removals`, for example `anchored`.
        work: folder for checkpoints; None writes none.

    Raises UserError if there is no such removal, if a loss diverges, or if imported weights do not fit.
    """
    pairs = [tokens] if isinstance(tokens, TokenPair) else list(tokens)
    if method not in params.removals:
        raise UserError(f"There is no removal {method!r} in params.yaml; there are {', '.join(params.removals)}.")
    spec = params.removals[method]
    if isinstance(spec, NoRemoval):
        return model
    if isinstance(spec, Negative | SLD):
        vectors = {name: value for pair in pairs for name, value in pair.vectors.items()}
        concepts = {pair.concept: params.concept(pair.concept) for pair in pairs}
        return replace(model, recipe=make_recipe(spec, concepts, vectors))
    if isinstance(spec, Imported):
        return with_weights(model, read_imported(method, spec, model.folder))
    return with_weights(model, learn_removal(model, pairs, method, params, work=work, progress=progress).weights)


def _prepare_concept(model: TextToImage, pair: TokenPair, params: Params) -> ErasureConcept:
    return ErasureConcept(
        name=pair.concept,
        spec=params.concept(pair.concept),
        tokens={name: vectors.to(model.device) for name, vectors in pair.vectors.items()},
        load_examples=lambda: pair.examples(model, params.invert, params.compute.block),
        load_judged=lambda: judged_pictures(model, pair.reward, params.compute.block),
        reward=pair.reward,
    )
