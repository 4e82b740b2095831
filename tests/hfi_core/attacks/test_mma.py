"""The attack on text of MMA-Diffusion, written out as its paper has it, finds the same prompt."""

import pytest
import torch

from hfi_core.attacks.mma import end_state, imitate_prompt
from hfi_core.compute.seeding import torch_generator
from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.text_encoders import Vocabulary

BUDGET = {"tokens": 3, "steps": 4, "topk": 5, "candidates": 7, "block": 4}


@pytest.fixture
def model(project):
    return load_base_model(project.params.model, project.params.compute)


def test_the_end_state_is_what_clip_pools(model):
    encoder, tokenizer = model.text.encoder, model.text.tokenizer
    for prompt in ("", "a red badge", "words that this tokenizer spells letter by letter"):
        ids = tokenizer([prompt], padding="max_length", truncation=True, return_tensors="pt").input_ids
        assert torch.allclose(end_state(model, prompt), encoder(ids).pooler_output[0], atol=1e-5)


def test_the_search_is_the_published_one(model):
    whole = model.text.vocabulary()
    vocabulary = Vocabulary(whole.words[60:80], whole.embeddings[60:80])
    target = end_state(model, "a red badge")
    found, history = imitate_prompt(model, target, vocabulary, key=(3,), **BUDGET)

    def loss_of(words):
        state = end_state(model, " ".join(vocabulary.words[i] for i in words))
        return 1 - float(state @ target / (state.norm() * target.norm()))

    luck = torch_generator(3)
    words = torch.randint(20, (3,), generator=luck).tolist()
    expected, all_prompts = [], []
    for _ in range(4):
        one_hot = torch.eye(20)[words].requires_grad_()
        state = model.encode(["<x>"], {"<x>": one_hot @ vocabulary.embeddings})[0, 4]
        (1 - state @ target / (state.norm() * target.norm())).backward()
        top = [sorted(range(20), key=lambda i, row=row: float(row[i]))[:5] for row in one_hot.grad]
        picked = torch.randint(5, (7,), generator=luck).tolist()
        swapped = []
        for candidate in range(7):
            place = int(candidate * 3 / 7)
            swapped.append([*words[:place], top[place][picked[candidate]], *words[place + 1 :]])
        words = min(swapped, key=loss_of)
        expected.append(loss_of(words))
        all_prompts.append(words)
    assert history == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found == " ".join(vocabulary.words[i] for i in min(all_prompts, key=loss_of))


def test_no_word_that_was_excluded_is_chosen(model):
    vocabulary = model.text.vocabulary().without(["badge", "red"])
    found, _ = imitate_prompt(model, end_state(model, "a red badge"), vocabulary, key=(3,), **BUDGET | {"steps": 12})
    assert not {"badge", "red"} & set(found.split())


def test_more_swaps_than_words_are_refused(model):
    with pytest.raises(UserError, match=r"mma chooses from 5000 words, and the model's vocabulary has 1\d\d"):
        imitate_prompt(
            model, end_state(model, "a badge"), model.text.vocabulary(), key=(3,), **BUDGET | {"topk": 5000}
        )  # fmt: skip
