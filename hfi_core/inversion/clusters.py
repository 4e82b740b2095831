"""Divide the accepted pictures of a concept into clusters, for anchors that differ."""

from dataclasses import replace

import torch
from sklearn.cluster import KMeans

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import derive_seed
from hfi_core.errors import UserError
from hfi_core.inversion.examples import choose_pictures, encode_examples
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Params
from hfi_core.reward.model import FittedReward, embed_candidates


def cluster_accepted(
    model: TextToImage, reward: FittedReward, count: int, params: Params, *, key: tuple[object, ...]
) -> list[TrainingExamples]:
    """Return the pictures that u* was inverted from, in `count` clusters: k-means (Lloyd 1982) of CLIP embeddings.

    The mean embedding of each prompt's pictures is taken off first, or the clusters would be those of the prompts.

    Raises UserError if there are fewer pictures than clusters.
    """
    rows, weights = choose_pictures(reward.candidates, reward.rewards, "accepted", params.invert.top)
    if len(rows) < count:
        raise UserError(
            f"{reward.candidates}: {len(rows)} pictures are accepted, too few for {count} anchors. To fix this: lower "
            "`anchors` of the removal."
        )
    features = embed_candidates(params, reward.candidates, rows, lambda *_: None)
    prompts = [row.prompt for row in rows]
    for prompt in set(prompts):
        own = torch.tensor([other == prompt for other in prompts])
        features[own] -= features[own].mean(dim=0)
    seed = derive_seed("clusters", *key) % 2**32
    found = KMeans(count, n_init=10, random_state=seed).fit_predict(features.double().numpy())
    cluster = current_group().broadcast(torch.from_numpy(found).to(model.device)).tolist()
    parts = [[i for i, own in enumerate(cluster) if own == number] for number in range(count)]
    block, opposite = params.compute.block, None
    if params.invert.contrast:
        other = choose_pictures(reward.candidates, reward.rewards, "objectionable", params.invert.top)
        opposite = encode_examples(model, reward.candidates, *other, block)
    return [
        replace(
            encode_examples(model, reward.candidates, [rows[i] for i in part], [weights[i] for i in part], block),
            opposite=opposite,
        )
        for part in parts
        if part
    ]
