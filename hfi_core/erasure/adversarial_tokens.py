"""Tokens by which a concept might come back: inverted again between rounds, or drawn near v*.

Rounds of re-inversion follow RECE (Gong et al. 2024) and AdvUnlearn (Zhang et al. 2024).
See docs/explanation/method.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.inversion.textual_inversion import InversionSettings, invert_token, make_start_vectors
from hfi_core.inversion.tokens import token_name, token_phrase
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.params import Anchored, Params
from hfi_core.progress import Progress, report_steps
from hfi_core.prompts import replace_text


@dataclass(frozen=True)
class FoundToken:
    """A token that draws what people object to."""

    name: str
    vectors: torch.Tensor
    """(n, D), on the model's device."""
    beside: bool = False
    """Whether it stands after the concept's text, and not in its place."""

    def stands_for(self, text: str) -> str:
        """Return what takes the place of the concept's text in prompts."""
        return token_phrase(text, self.name, beside=self.beside)


def find_again(
    model: TextToImage,
    concept: ErasureConcept,
    number: int,
    weights: Weights,
    spec: Anchored,
    params: Params,
    *,
    key: tuple[object, ...],
    work: Path | None,
    progress: Progress,
) -> list[FoundToken]:
    """Invert the concept again on the weights of the round before; one token for each start of `reinvert_from`."""
    found = []
    for start in spec.reinvert_from:
        suffix = "" if start == "word" else f"-{start}"
        name = f"<{concept.name}-round-{number}{suffix}>"
        if start == "word":
            first = make_start_vectors(model, concept.spec.initial.objectionable, params.invert.vectors, *key, name)
        else:
            first = concept.tokens[token_name(concept.name, "objectionable")].float()
        vectors, _ = invert_token(
            model,
            concept.load_examples(),
            concept.spec.text,
            name,
            first,
            InversionSettings.of(params.invert, steps=spec.reinvert_steps),
            key=(*key, name),
            student=weights,
            beside=start == "beside",
            work=work / f"{concept.name}{suffix}" if work else None,
            observe=report_steps(progress, spec.reinvert_steps, f"round {number}, inverting"),
        )
        # Every process inverts the token itself: they would only wait for the one that does.
        vectors = current_group().broadcast(vectors.to(model.device))
        found.append(FoundToken(name, vectors, start == "beside"))
    return found


def draw_near(
    model: TextToImage, concept: ErasureConcept, v_star: torch.Tensor, radius: float, times: int
) -> Callable[[torch.Generator], torch.Tensor]:
    """Return a function that draws conditions near v*: the concept's prompts, `times` over, each with its own token.

    w = s v* + (1 - s) word + radius mean |v*| n, with s uniform in [0, 1] and n of length 1 in a uniform direction, for
    each vector of the token. `word` is where v* started.
    """
    word = model.text.word_embedding(concept.spec.initial.objectionable).to(v_star)
    word = word[torch.arange(len(v_star), device=v_star.device) % len(word)]
    prompts = list(concept.spec.prompts) * times
    names = [f"<{concept.name}-near-{number}>" for number in range(len(prompts))]
    places = [replace_text(prompt, concept.spec.text, name) for prompt, name in zip(prompts, names, strict=True)]
    length = radius * v_star.norm(dim=1).mean()

    @torch.no_grad()
    def redraw(generator: torch.Generator) -> torch.Tensor:
        share = torch.rand((len(names), 1, 1), generator=generator).to(v_star)
        direction = torch.randn((len(names), *v_star.shape), generator=generator).to(v_star)
        tokens = share * v_star + (1 - share) * word + length * torch.nn.functional.normalize(direction, dim=2)
        # One prompt at a time: each has a token of its own.
        return torch.cat(
            [model.encode([place], {name: token}) for place, name, token in zip(places, names, tokens, strict=True)]
        )

    return redraw
