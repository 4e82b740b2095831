"""A concept's text is found in prompts as whole words."""

import pytest

from hfi_core.prompts import leave_out, mentions, replace_text


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("a car beside a scar", "car", "a <x> beside a scar"),
        ("a car, a cart and a car", "car", "a <x>, a cart and a <x>"),
        ("a car-free street", "car", "a <x>-free street"),
        ("a hand gun on a table", "hand gun", "a <x> on a table"),
        ("a second hand gun", "hand gun", "a second <x>"),
        ("left-hand guns", "hand gun", "left-hand guns"),
        ("the C++ logo", "C++", "the <x> logo"),
        ("a Säbel, ein Säbelzahntiger", "Säbel", "a <x>, ein Säbelzahntiger"),
    ],
)
def test_whole_words_give_their_place_to_a_token(prompt, text, expected):
    assert replace_text(prompt, text, "<x>") == expected
    assert mentions(prompt, text) == (prompt != expected)


def test_what_takes_the_place_is_taken_as_it_stands():
    assert replace_text("a car", "car", r"\1\g<0>") == r"a \1\g<0>"


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [("a red badge", "badge", "a red"), ("badge", "badge", ""), ("a  badge on a badge, red", "badge", "a on a , red")],
)
def test_a_prompt_without_the_text_has_single_spaces(prompt, text, expected):
    assert leave_out(prompt, text) == expected
