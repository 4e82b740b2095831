"""Several anchors u*, so that a concept keeps its variety: each is inverted from one cluster of what people accept.

One token is inverted from all accepted pictures, and may draw mostly the most frequent kind of them.
See docs/explanation/method.md.
"""

from dataclasses import replace
from pathlib import Path

from hfi_core.compute.data_parallel import current_group
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.inversion.clusters import cluster_accepted
from hfi_core.inversion.textual_inversion import InversionSettings, invert_token
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Anchored, Params
from hfi_core.progress import Progress, report_steps


def accepted_tokens(concept: ErasureConcept) -> list[str]:
    """Return the names of a concept's anchors among its tokens: u*, or the several that take its place."""
    one = token_name(concept.name, "accepted")
    return [name for name in concept.tokens if name.startswith(one.removesuffix(">") + "-")] or [one]


def with_anchors(
    model: TextToImage,
    concept: ErasureConcept,
    spec: Anchored,
    params: Params,
    *,
    key: tuple[object, ...],
    work: Path | None,
    progress: Progress,
) -> ErasureConcept:
    """Return the concept with an anchor for each cluster of its accepted pictures; as it is if one is asked for.

    Each is inverted on the frozen base, and starts at u*.

    Raises UserError if there are fewer accepted pictures than anchors, or if a loss diverges.
    """
    if spec.anchors == 1:
        return concept
    assert concept.reward is not None  # the stage gives it
    start = concept.tokens[token_name(concept.name, "accepted")].float()
    clusters = cluster_accepted(model, concept.reward, spec.anchors, params, key=key)
    tokens = dict(concept.tokens)
    for number, examples in enumerate(clusters, start=1):
        name = token_name(concept.name, f"accepted-{number}")
        vectors, _ = invert_token(
            model,
            examples,
            concept.spec.text,
            name,
            start,
            InversionSettings.of(params.invert, steps=spec.reinvert_steps),
            key=(*key, name),
            work=work / concept.name / str(number) if work else None,
            observe=report_steps(progress, spec.reinvert_steps, f"anchor {number} of {len(clusters)}, inverting"),
        )
        tokens[name] = current_group().broadcast(vectors.to(model.device))
    return replace(concept, tokens=tokens)
