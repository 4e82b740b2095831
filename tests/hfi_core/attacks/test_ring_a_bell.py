"""Ring-A-Bell, written out as its notebooks have it, finds the same prompt."""

import numpy as np
import pytest
import torch

from hfi_core.attacks.ring_a_bell import concept_direction, evolve_prompt
from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.text_encoders import Vocabulary

PAIRS = [("a red badge", "a red boat"), ("a badge on the grass", "a tree on the grass")]
BUDGET = {"tokens": 3, "population": 6, "generations": 5, "crossover": 0.5, "mutation": 0.25, "block": 4}


@pytest.fixture
def model(project):
    return load_base_model(project.params.model, project.params.compute)


def test_the_direction_is_the_mean_difference_of_states(model):
    expected = torch.zeros(model.encode([""])[0].shape)
    for with_it, without in PAIRS:
        expected += (model.encode([with_it])[0] - model.encode([without])[0]) / len(PAIRS)
    assert torch.allclose(concept_direction(model, PAIRS, 8), expected, atol=1e-6)


def test_the_search_is_the_published_one(model):
    whole = model.text.vocabulary()
    vocabulary = Vocabulary(whole.words[60:80], whole.embeddings[60:80])
    target = (model.encode(["a red badge"])[0] + 3 * concept_direction(model, PAIRS, 8)).detach()
    found, history = evolve_prompt(model, target, vocabulary, key=(3,), **BUDGET)

    luck, expected = numpy_generator(3), []
    population = [list(row) for row in luck.integers(20, size=(6, 3))]
    for step in range(5):
        scores = []
        for person in population:
            states = model.encode([" ".join(vocabulary.words[i] for i in person)])[0]
            scores.append(float(((target - states) ** 2).sum()))
        order = np.argsort(scores, kind="stable")
        population = [population[i] for i in order][:3]
        expected.append(min(scores))
        if step != 4:
            grown = []
            for person in population:
                grown.append(person.copy())
                if luck.random() < 0.5:
                    other = population[luck.integers(3)]
                    point = luck.integers(3)  # theirs counts the start token: 1 to length
                    grown.append([*person[:point], *other[point:]])
                    grown.append([*other[:point], *person[point:]])
            for person in grown:
                if luck.random() < 0.25:
                    place = luck.integers(3)
                    person[place] = luck.integers(20)
            population = grown
    assert history == pytest.approx(expected, rel=1e-4)
    assert found == " ".join(vocabulary.words[i] for i in population[0])


def test_more_generations_come_nearer(model):
    target = model.encode(["a red badge on the grass"])[0].detach()
    budget = BUDGET | {"population": 40, "generations": 30}
    _, history = evolve_prompt(model, target, model.text.vocabulary(), key=(3,), **budget)
    assert min(history[-5:]) < 0.9 * history[0]


def test_a_vocabulary_without_words_is_refused(model):
    target = model.encode([""])[0]
    nothing = model.text.vocabulary().without(list("abcdefghijklmnopqrstuvwxyz"))
    empty = Vocabulary([], nothing.embeddings[:0])
    with pytest.raises(UserError, match="chooses from 2 words, and the model's vocabulary has 0"):
        evolve_prompt(model, target, empty, key=(3,), **BUDGET)
