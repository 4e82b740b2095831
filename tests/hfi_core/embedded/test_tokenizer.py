"""Each word of the captions is one token; other text is spelled."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from hfi_core.compute.seeding import numpy_generator
from hfi_core.embedded.captions import list_words, write_caption
from hfi_core.embedded.scenes import BADGES, WORLDS, sample_scene
from hfi_core.embedded.tokenizer import MAX_TOKENS, build_tokenizer
from tests.support.worlds import each_preset, each_world, load_preset

TOKENIZERS = {name: build_tokenizer(world) for name, world in WORLDS.items()}
TOKENIZER = TOKENIZERS[BADGES.name]


@pytest.mark.parametrize(("name", "word"), [(name, word) for name in WORLDS for word in list_words(WORLDS[name])])
def test_every_word_of_the_captions_is_one_token(name, word):
    assert TOKENIZERS[name].tokenize(word) == [word + "</w>"]


@each_world
def test_words_have_different_tokens(world):
    words = list_words(world)
    assert len({tuple(TOKENIZERS[world.name](word).input_ids) for word in words}) == len(words)


@given(st.text(alphabet=string.ascii_letters + string.digits + string.punctuation + " ", max_size=60))
def test_other_text_is_spelled_and_never_unknown(text):
    special = {TOKENIZER.bos_token_id, TOKENIZER.eos_token_id, TOKENIZER.unk_token_id}
    if not any(name in text.lower() for name in ("<|startoftext|>", "<|endoftext|>")):
        assert not special & set(TOKENIZER(text, add_special_tokens=False).input_ids)


@given(st.text(alphabet=string.ascii_lowercase + string.digits, min_size=1, max_size=20))
def test_a_word_that_is_spelled_can_be_read_back(word):
    pieces = TOKENIZER.tokenize(word)
    assert "".join(pieces).replace("</w>", "") == word


@given(st.text(max_size=40))
def test_text_of_any_script_gives_known_ids(text):
    ids = TOKENIZER(text).input_ids
    assert ids[0] == TOKENIZER.bos_token_id and ids[-1] == TOKENIZER.eos_token_id
    assert all(0 <= token < len(TOKENIZER) for token in ids)


@each_preset
def test_every_caption_and_every_default_prompt_fits_without_truncation(preset, world):
    rng = numpy_generator("tokens")
    texts = [write_caption(world, sample_scene(world, rng), rng) for _ in range(3000)]
    params = load_preset(preset)
    texts += params.concepts[world.concept].prompts
    texts += [prompt for suite in params.evaluate.suites.values() for prompt in suite.prompts]
    assert max(len(ids) for ids in TOKENIZERS[world.name](texts).input_ids) <= MAX_TOKENS


def test_a_saved_tokenizer_gives_the_same_tokens(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    texts = ["a red badge with crossed bones, night", "Something ELSE entirely!"]
    assert again(texts).input_ids == TOKENIZER(texts).input_ids
    assert again.model_max_length == MAX_TOKENS


@each_world
def test_two_builds_write_equal_bytes(world, tmp_path):
    for name in ("one", "two"):
        build_tokenizer(world).save_pretrained(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
