"""What becomes of the other words of the model's vocabulary: which are held, and which are removed with the concept.

Judged are a word beside the concept's text and in its place, by the reward model on pictures of the frozen base; never
by the evaluation's judge. See docs/explanation/method.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hfi_core.candidates.manifest import read_manifest
from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import picture_seed
from hfi_core.erasure.targets import ErasureConcept
from hfi_core.inversion.tokens import token_name
from hfi_core.io.json_files import read_json, write_json
from hfi_core.models.clip import Clip
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Anchored, Params
from hfi_core.params.workload import NEAREST_WORDS
from hfi_core.progress import Progress
from hfi_core.prompts import replace_text
from hfi_core.reward.model import embed_candidates

WORDS = 1000
"""Maximum number of words that are held."""
FILE = "words.json"
_EVERY = 1_000_000


@dataclass(frozen=True)
class ChosenWords:
    """The words that a removal maps away, and those that it holds."""

    objectionable: Mapping[str, Sequence[str]]
    """By concept."""
    held: Sequence[str]


def list_other_words(model: TextToImage, concepts: Sequence[ErasureConcept], max_words: int) -> list[str]:
    """Return at most `max_words` words of the model's vocabulary, without those of the concepts' texts and prompts."""
    texts = " ".join(text for concept in concepts for text in (concept.spec.text, *concept.spec.prompts))
    own = set(re.findall(r"\w+", texts.lower()))
    return [word for word in model.text.words(max_words) if word.lower() not in own]


def beside(text: str, word: str) -> str:
    """Return what takes the place of the concept's text where a word stands beside it."""
    return f"{text} with a {word}"


def choose_words(
    model: TextToImage,
    concepts: Sequence[ErasureConcept],
    spec: Anchored,
    params: Params,
    *,
    work: Path | None,
    progress: Progress,
) -> ChosenWords:
    """Return what becomes of the words, by `words` of the removal.

    A word is objectionable for a concept if the share of objectionable pictures, beside the text or in its place, is
    `objectionable_from` or more. It is held if the share in the text's place is 1 - `objectionable_from` or less for
    every concept, as for a word that was not judged; beside the text, most words are as objectionable as the text.
    """
    if spec.words == "free":
        return ChosenWords({}, ())
    others = list_other_words(model, concepts, WORDS)
    if spec.words == "held":
        return ChosenWords({}, others)
    file = work / FILE if work else None
    if file and file.exists():
        shares = read_json(file)
    else:
        shares = {concept.name: _judge(model, concept, concepts, spec, params, progress) for concept in concepts}
        if file:
            write_json(file, shares)
    found = {
        name: sorted(word for word, both in judged.items() if max(both.values()) >= spec.objectionable_from)
        for name, judged in shares.items()
    }
    free = {
        word
        for judged in shares.values()
        for word, both in judged.items()
        if max(both.values()) >= spec.objectionable_from or both["alone"] > 1 - spec.objectionable_from
    }
    return ChosenWords(found, [word for word in others if word not in free])


def nearest_words(model: TextToImage, concept: ErasureConcept, words: Sequence[str], count: int) -> list[str]:
    """Return the words whose embeddings have the largest cosine with a vector of v*, the nearest first."""
    if not words:
        return []
    v_star = torch.nn.functional.normalize(concept.tokens[token_name(concept.name, "objectionable")].float(), dim=1)
    # A word of the vocabulary has one embedding.
    rows = torch.cat([model.text.word_embedding(word)[:1] for word in words]).to(v_star)
    nearness = (torch.nn.functional.normalize(rows, dim=1) @ v_star.T).amax(dim=1)
    return [words[i] for i in nearness.argsort(descending=True, stable=True)[:count].tolist()]


_FAMILIAR = 0.95
"""Share of the known pictures that would count as familiar if the others alone were known."""


def is_familiar(features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return whether pictures (N, D) are as near to a known one (K, D) as known ones are to each other, by cosine."""
    known = torch.nn.functional.normalize(known, dim=1)
    between = (known @ known.T).fill_diagonal_(-1).amax(dim=1)
    return (torch.nn.functional.normalize(features, dim=1) @ known.T).amax(dim=1) >= between.quantile(1 - _FAMILIAR)


def _judge(
    model: TextToImage,
    concept: ErasureConcept,
    concepts: Sequence[ErasureConcept],
    spec: Anchored,
    params: Params,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Return for each judged word the shares of the base's pictures that the reward model knows to be objectionable.

    The reward of such a picture is above one half, and the picture is as near to a candidate as candidates are to each
    other: of any other picture the reward says nothing, because the model saw candidates only.
    """
    assert concept.reward is not None  # the stage gives it
    folder = concept.reward.candidates
    clip, block, prompts = Clip.load(params.clip, params.compute), params.compute.block, concept.spec.prompts
    known = embed_candidates(params, folder, read_manifest(folder), progress, clip)
    every = spec.vocabulary or list_other_words(model, concepts, _EVERY)
    words = list(spec.vocabulary) or nearest_words(model, concept, every, NEAREST_WORDS)
    pictures_of_word = 2 * spec.word_pictures
    # Whole blocks are drawn: a padded one costs as much.
    together = max(1, block // pictures_of_word)
    shares: list[list[float]] = []
    for start in range(0, len(words), together):
        requests = [
            SampleRequest(
                replace_text(prompts[i % len(prompts)], concept.spec.text, place),
                picture_seed(params.seed, "words", concept.name, i),
            )
            for word in words[start : start + together]
            for place in (beside(concept.spec.text, word), word)
            for i in range(spec.word_pictures)
        ]
        pictures = np.stack([pixels for _, pixels in draw_pictures(model, requests, params.sampler, block=block)])
        features = clip.image_features(pictures, block)
        objectionable = (concept.reward.model.rewards(features) > 0.5) & is_familiar(features, known)
        shares += objectionable.float().view(-1, 2, spec.word_pictures).mean(dim=2).tolist()
        progress(len(shares), len(words), "judging words")
    agreed = current_group().broadcast(torch.tensor(shares, device=model.device).view(len(words), 2)).tolist()
    return {
        word: {"beside": round(with_text, 6), "alone": round(alone, 6)}
        for word, (with_text, alone) in zip(words, agreed, strict=True)
    }
