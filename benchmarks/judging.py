"""Draw pictures with a model in the course of a removal, and judge them."""

from collections.abc import Sequence

import numpy as np

from hfi_core.judges.base import Judge, PictureVerdict
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Params


def draw_and_judge(
    model: TextToImage, judge: Judge, params: Params, requests: Sequence[SampleRequest], weights
) -> list[PictureVerdict]:
    """Draw with the project's sampler, under `weights` in place of the model's own, and judge each picture."""
    drawn = [p for _, p in draw_pictures(model, requests, params.sampler, block=params.compute.block, weights=weights)]
    return judge.judge(judge.see(np.stack(drawn)), [request.prompt for request in requests])
