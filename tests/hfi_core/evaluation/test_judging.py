"""How the pictures of a variant are scored and judged."""

import torch

from hfi_core.evaluation.judging import Observers, _embed_prompts
from hfi_core.evaluation.shots import Shot
from hfi_core.models.diffusion.sampling import SampleRequest


class _Clip:
    def __init__(self):
        self.texts = []

    def text_features(self, texts):
        self.texts = list(texts)
        return torch.tensor([[float(len(text))] for text in texts])


def test_clip_score_compares_with_the_prefix_and_the_prompt_in_plain_words():
    shots = [Shot("broad", i, text, SampleRequest(f"{text} <token>", i)) for i, text in enumerate(("a cup", "a", "a"))]
    clip = _Clip()
    features = _embed_prompts(clip, shots, "A photo depicts ")
    assert clip.texts == ["A photo depicts a", "A photo depicts a cup"]
    assert features.squeeze(1).tolist() == [21, 17, 17]


def test_a_concept_with_words_of_its_own_has_its_own_judge():
    observers = Observers(judge="all", clip=None, judges={"klara": "style"})
    assert [observers.judge_of(concept) for concept in (None, "badge", "klara")] == ["all", "all", "style"]
