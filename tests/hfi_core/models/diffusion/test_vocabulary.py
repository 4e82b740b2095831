"""The words that stand for all a model can be asked are words that its tokenizer has whole."""

from dataclasses import replace

import pytest
import torch

from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Source
from tests.support.other_model import build_sdxl
from tests.support.projects import write_project


@pytest.fixture(scope="module")
def text(miniature, tmp_path_factory):
    params = write_project(tmp_path_factory.mktemp("vocabulary"), miniature).params
    return load_base_model(params.model, params.compute).text


def test_each_word_is_one_token_and_none_comes_twice(text):
    words = text.words(1000)
    assert {"badge", "skull", "green"} <= set(words)
    assert all(len(text.tokenizer(word, add_special_tokens=False).input_ids) == 1 for word in words)
    assert len(set(words)) == len(words)


def test_pieces_of_words_letters_and_signs_are_none(text):
    assert not {"yello", "badg", "a", "!", "7"} & set(text.words(1000))


def test_there_are_no_more_than_asked_for_and_always_the_same(text):
    assert text.words(5) == text.words(1000)[:5]
    assert len(text.words(5)) == 5


def test_a_prompt_of_vocabulary_words_is_read_as_their_tokens(text):
    vocabulary = text.vocabulary()
    assert {"badge", "skull", "a", "7"} <= set(vocabulary.words) and "badg" not in vocabulary.words
    table = text.encoder.get_input_embeddings().weight
    for start in range(0, len(vocabulary.words), 7):
        ids = text.tokenizer(" ".join(vocabulary.words[start : start + 7]), add_special_tokens=False).input_ids
        assert torch.equal(table[ids], vocabulary.embeddings[start : start + 7])


def test_a_vocabulary_without_a_word_lacks_all_that_contain_it(text):
    words = text.vocabulary().without(["Bad", "kull"]).words
    assert not {"badge", "skull"} & set(words) and "shield" in words


def test_the_tokens_of_a_prompt_are_counted_as_they_are_read(text):
    assert text.count_tokens("a badge with a skull") == 5 and text.max_tokens == 18


@pytest.fixture
def sdxl(project, tmp_path):
    folder = build_sdxl(tmp_path)
    return load_base_model(
        Source(source=str(folder), revision=None, digest=digest_of_weights(folder)), project.params.compute
    ).text


def test_two_encoders_share_their_vocabulary(sdxl):
    vocabulary = sdxl.vocabulary()
    assert "knife" in vocabulary.words and vocabulary.embeddings.shape[1] == sum(sdxl.widths)
    expected = sdxl.word_embedding("knife")[0]
    assert torch.equal(vocabulary.embeddings[list(vocabulary.words).index("knife")], expected)
    assert sdxl.count_tokens("a knife") == 2 and sdxl.max_tokens == 22


def test_two_encoders_with_different_vocabularies_are_refused(sdxl, text):
    with pytest.raises(UserError, match="different vocabularies"):
        replace(sdxl, tokenizers=(sdxl.tokenizers[0], text.tokenizer)).vocabulary()
