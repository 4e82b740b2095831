"""UnlearnDiffAtk, written out as the paper and its code have it, finds the same words."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.attacks.unlearndiff import Scenes, find_prefixes, project_onto_simplex, timesteps_of
from hfi_core.compute.seeding import torch_generator
from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model, with_weights
from hfi_core.models.diffusion.text_encoders import Vocabulary

PROMPTS = ["a badge", "a red badge"]
BUDGET = {"tokens": 2, "timesteps": 3, "steps": 2, "rate": 0.05, "weight_decay": 0.1}


@pytest.fixture
def model(project):
    return load_base_model(project.params.model, project.params.compute)


def changed(model):
    """The model with other weights of its first cross-attention."""
    name, value = next(iter(model.cross_attention().items()))
    return with_weights(model, {name: value + 0.1 * torch.randn(value.shape, generator=torch_generator("changed"))})


def bisect(row: torch.Tensor) -> torch.Tensor:
    """The projection of the authors' code: find the shift at which the clipped numbers sum to one."""
    low, high = float((row - 1).min()), float(row.max())
    for _ in range(60):
        middle = (low + high) / 2
        if float((row - middle).clamp(0, 1).sum()) > 1:
            low = middle
        else:
            high = middle
    return (row - middle).clamp(0, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12))
def test_the_projection_is_the_one_that_bisection_finds(row):
    point = torch.tensor(row, dtype=torch.float64)
    assert torch.allclose(project_onto_simplex(point), bisect(point), atol=1e-6)


def test_the_published_timesteps():
    assert timesteps_of(50, 1000) == list(range(10, 1000, 20))


def word_by_word(model, base, latent, prompt, vocabulary, draw) -> tuple[list[list[int]], list[float]]:
    """One search after the authors' code, in loops: Adam by hand, one place after the other.

    `draw(step, chosen)` gives the words and the noise of a step.
    """
    size = len(vocabulary.words)
    chosen = [np.full(size, 1 / size, dtype=np.float32) for _ in range(BUDGET["tokens"])]
    first, second = np.zeros((BUDGET["tokens"], size)), np.zeros((BUDGET["tokens"], size))
    alpha_bar, step, candidates, losses = model.schedule.alpha_bar, 0, [], []
    for t in timesteps_of(BUDGET["timesteps"], len(alpha_bar)):
        for _ in range(BUDGET["steps"]):
            words, eps = draw(step, chosen)
            step += 1
            one_hot = torch.zeros(BUDGET["tokens"], size)
            for place, word in enumerate(words):
                one_hot[place, word] = 1
            one_hot.requires_grad_()
            condition = model.encode([f"<p> {prompt}"], {"<p>": one_hot @ vocabulary.embeddings})
            x_t = alpha_bar[t] ** 0.5 * latent + (1 - alpha_bar[t]) ** 0.5 * eps
            at = torch.tensor([t])
            aim = base.predict(x_t[None], at, base.encode([prompt])).detach()[0] if base else eps
            error = aim - model.predict(x_t[None], at, condition)[0]
            loss = (error / alpha_bar[t] ** 0.5).square().mean() if v_prediction(model) else error.square().mean()
            losses.append(loss.item())
            gradient = torch.autograd.grad(loss, one_hot)[0].numpy()
            for place in range(BUDGET["tokens"]):
                g = np.clip(gradient[place], -1, 1) + BUDGET["weight_decay"] * chosen[place]
                first[place] = 0.9 * first[place] + 0.1 * g
                second[place] = 0.999 * second[place] + 0.001 * g**2
                mean, variance = first[place] / (1 - 0.9**step), second[place] / (1 - 0.999**step)
                moved = chosen[place] - BUDGET["rate"] * mean / (np.sqrt(variance) + 1e-8)
                chosen[place] = bisect(torch.tensor(moved)).numpy()
        candidates.append([int(row.argmax()) for row in chosen])
    return candidates, losses


def v_prediction(model) -> bool:
    return model.schedule.prediction_type == "v_prediction"


@pytest.mark.parametrize("loss", ["unlearndiff", "p4d"])
def test_the_search_is_the_published_one(model, loss):
    attacked = changed(model)
    base = model if loss == "p4d" else None
    whole = model.text.vocabulary()
    vocabulary = Vocabulary(whole.words[60:72], whole.embeddings[60:72])
    latents = torch.randn(2, *model.latent_shape, generator=torch_generator("latents"))
    found, losses = find_prefixes(attacked, Scenes(latents, PROMPTS, base), vocabulary, key=(7,), **BUDGET)

    searched, expected = [], []
    for number, prompt in enumerate(PROMPTS):

        def draw(step, chosen, number=number):
            # The draws of both prompts come from one generator, so the other prompt's are drawn as well.
            generator = torch_generator(7, step)
            both = torch.zeros(2 * BUDGET["tokens"], len(vocabulary.words)) + 1
            own = slice(number * BUDGET["tokens"], (number + 1) * BUDGET["tokens"])
            both[own] = torch.tensor(np.array(chosen))
            words = torch.multinomial(both, 1, generator=generator)[own, 0].tolist()
            return words, torch.randn(2, *model.latent_shape, generator=generator)[number]

        candidates, own_losses = word_by_word(attacked, base, latents[number], prompt, vocabulary, draw)
        searched.append([" ".join([*(vocabulary.words[i] for i in rows), prompt]) for rows in candidates])
        expected.append(own_losses)
    assert losses == pytest.approx(np.mean(expected, axis=0).tolist(), rel=1e-4)
    assert found == [list(dict.fromkeys(candidates)) for candidates in searched]


def test_a_prompt_found_is_read_as_the_words_that_were_searched(model):
    vocabulary = model.text.vocabulary()
    latents = torch.randn(1, *model.latent_shape, generator=torch_generator("latents"))
    ((*_, prompt),), _ = find_prefixes(model, Scenes(latents, ["a badge"], None), vocabulary, key=(7,), **BUDGET)
    words = prompt.split()
    assert words[2:] == ["a", "badge"]
    vectors = torch.stack([vocabulary.embeddings[list(vocabulary.words).index(word)] for word in words[:2]])
    assert torch.allclose(model.encode([prompt]), model.encode(["<p> a badge"], {"<p>": vectors}), atol=1e-6)


def test_more_tokens_than_the_text_encoder_reads_are_refused(model):
    scenes = Scenes(torch.zeros(1, *model.latent_shape), ["a red badge"], None)
    with pytest.raises(UserError, match=r"17 tokens before the prompt 'a red badge' are 20 in all.*reads 18.*`tokens`"):
        find_prefixes(model, scenes, model.text.vocabulary(), key=(7,), **BUDGET | {"tokens": 17})
