"""Human Feedback Inversion: from judged pictures to a text-to-image model without what people object to.

    import hfi_core as hfi

    params = hfi.load_params("params.yaml")
    model = hfi.load_model(params)
    images = hfi.sample(model, ["a red boat with a badge"], seed=0)
    labels = hfi.read_labels("labels/badge")
    reward = hfi.RewardModel.fit("candidates/badge", labels, params)
    tokens = hfi.invert(model, reward, "badge", params)
    safe = hfi.erase(model, tokens, method="anchored", params=params)
    report = hfi.evaluate({"base": model, "safe": safe}, params)
    hfi.save_release(safe, "my-release/")

The stages of the pipeline call the same functions. A name is imported when it is first used, so that `import hfi_core`
does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfi_core.erasure.release import save_release
    from hfi_core.erasure.removal import erase
    from hfi_core.errors import UserError
    from hfi_core.evaluation.judging import evaluate
    from hfi_core.feedback.labels import read_labels, read_pairs
    from hfi_core.inversion.token_pair import invert
    from hfi_core.models.diffusion.loading import load_model
    from hfi_core.models.diffusion.sampling import sample
    from hfi_core.params import Params, load_params
    from hfi_core.reward.model import RewardModel

__all__ = [
    "Params",
    "RewardModel",
    "UserError",
    "erase",
    "evaluate",
    "invert",
    "load_model",
    "load_params",
    "read_labels",
    "read_pairs",
    "sample",
    "save_release",
]

_LAZY = {
    "Params": "hfi_core.params",
    "RewardModel": "hfi_core.reward.model",
    "UserError": "hfi_core.errors",
    "erase": "hfi_core.erasure.removal",
    "evaluate": "hfi_core.evaluation.judging",
    "invert": "hfi_core.inversion.token_pair",
    "load_model": "hfi_core.models.diffusion.loading",
    "load_params": "hfi_core.params",
    "read_labels": "hfi_core.feedback.labels",
    "read_pairs": "hfi_core.feedback.labels",
    "sample": "hfi_core.models.diffusion.sampling",
    "save_release": "hfi_core.erasure.release",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those that are not imported yet too."""
    return sorted({*globals(), *__all__})
