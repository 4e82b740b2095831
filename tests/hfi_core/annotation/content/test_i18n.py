"""Every text of the interface is translated."""

import re
from pathlib import Path

import pytest

import hfi_core.annotation
from hfi_core.annotation.content.i18n import Translations, choose_translations, list_languages, read_catalogue

ROOMS = Path(hfi_core.annotation.__file__).parent
SINGLE = {
    "binary": ["yes", "no", "cant_tell", "skip", "undo", "note", "reveal", "guidelines"],
    "ranking": ["not_applicable", "enlarge", "skip", "undo", "note", "reveal", "guidelines"],
}


@pytest.mark.parametrize("language", sorted(list_languages()))
def test_every_language_is_complete_and_keeps_the_placeholders(language):
    english, words = read_catalogue("en"), read_catalogue(language)
    assert words.keys() == english.keys()
    for key, text in words.items():
        assert text.strip(), key
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[key])), key


@pytest.mark.parametrize("language", sorted(list_languages()))
@pytest.mark.parametrize("kind", SINGLE)
def test_no_key_means_two_things(language, kind):
    letters = [read_catalogue(language)[f"key.{name}"] for name in SINGLE[kind]]
    assert len(set(letters)) == len(letters)
    assert all(len(letter) == 1 for letter in letters)


def test_every_word_that_a_template_or_script_asks_for_is_there():
    used = set()
    for path in (*ROOMS.glob("templates/*.html"), *ROOMS.glob("static/js/*.js")):
        used |= set(re.findall(r"""\bt\(\s*["']([a-z_.]+)["']\s*[,)]""", path.read_text()))
    assert len(used) > 60
    assert used <= read_catalogue("en").keys()


def test_one_is_said_in_the_singular():
    words = Translations("en")
    assert words("home.pictures", n=1) == "1 picture"
    assert words("home.pictures", n=2) == "2 pictures"


@pytest.mark.parametrize(
    ("preferred", "header", "language"),
    [
        (None, "", "en"), (None, "de-AT,en;q=0.8", "de"), (None, "fr,en;q=0.4,de;q=0.5", "de"), ("en", "de", "en"),
        ("xx", "de", "de"), (None, "de;q=x, *", "en"),
    ],
)  # fmt: skip
def test_the_annotators_choice_comes_before_the_browsers(preferred, header, language):
    assert choose_translations(preferred, header).language == language
