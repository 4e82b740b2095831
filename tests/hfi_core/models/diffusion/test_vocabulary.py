"""The words that stand for all a model can be asked are words that its tokenizer has whole."""

import pytest

from hfi_core.models.diffusion.loading import load_base_model
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
