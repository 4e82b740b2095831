"""Pseudonyms, and the key that leads back to people."""

import json
import re
import threading

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.store.pseudonyms import KEY_VARIABLE, Pseudonyms, open_people

KEY = {KEY_VARIABLE: "a key of the tests' own"}


@pytest.fixture
def people(tmp_path) -> Pseudonyms:
    return Pseudonyms(tmp_path / ".hfi" / "people.json", {})


def test_a_name_has_one_pseudonym(people):
    ana, bo = people.get_or_create("Ana"), people.get_or_create("Bo")
    assert re.fullmatch("a-[0-9a-f]{12}", ana) and ana != bo
    assert people.get_or_create("Ana") == ana == Pseudonyms(people.path, {}).get_or_create("Ana")
    assert people.names() == {ana: "Ana", bo: "Bo"}
    assert people.name_of(ana) == "Ana" and people.find("Ana") == people.find(ana) == ana and people.find("Cy") is None


def test_only_the_owner_can_read_it(people):
    people.get_or_create("Ana")
    assert people.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660])
def test_a_file_that_others_can_read_is_refused(people, mode):
    people.get_or_create("Ana")
    people.path.chmod(mode)
    for use in (
        people.names,
        lambda: people.get_or_create("Bo"),
        lambda: people.forget("a-0"),
        lambda: open_people(people.path),
    ):
        with pytest.raises(UserError, match="chmod 600"):
            use()


def test_two_projects_call_one_person_differently(tmp_path):
    assert Pseudonyms(tmp_path / "a", {}).get_or_create("Ana") != Pseudonyms(tmp_path / "b", {}).get_or_create("Ana")


def test_a_key_in_the_environment_gives_the_same_pseudonyms_everywhere(tmp_path):
    one, other = Pseudonyms(tmp_path / "a", KEY), Pseudonyms(tmp_path / "b", KEY)
    assert one.get_or_create("Ana") == other.get_or_create("Ana")
    assert KEY[KEY_VARIABLE] not in (tmp_path / "a").read_text()
    assert json.loads((tmp_path / "a").read_text())["key"] is None


def test_a_key_that_could_be_guessed_is_refused(tmp_path):
    with pytest.raises(UserError, match="fewer than 16 characters"):
        Pseudonyms(tmp_path / "a", {KEY_VARIABLE: "short"}).get_or_create("Ana")


def test_the_environment_is_that_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY[KEY_VARIABLE])
    assert open_people(tmp_path / "a").get_or_create("Ana") == Pseudonyms(tmp_path / "b", KEY).get_or_create("Ana")


def test_who_is_forgotten_cannot_be_found_again_even_with_the_key(people):
    ana = people.get_or_create("Ana")
    assert people.forget(ana) is True
    assert people.forget(ana) is False
    assert people.name_of(ana) is None and ana not in people.path.read_text() and "Ana" not in people.path.read_text()
    assert people.get_or_create("Ana") != ana, "who comes back is somebody new"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}', "\xff"])
def test_a_file_that_is_not_a_list_is_refused(people, content):
    people.path.parent.mkdir()
    people.path.write_text(content, encoding="latin-1")
    people.path.chmod(0o600)
    with pytest.raises(UserError, match="is not a list of people"):
        people.get_or_create("Ana")


def test_many_at_once_lose_nobody(people):
    threads = [threading.Thread(target=people.get_or_create, args=(f"n{n % 5}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(people.names().values()) == [f"n{n}" for n in range(5)]


def test_looking_makes_no_file(tmp_path):
    assert open_people(tmp_path / "none" / "people.json").names() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_further_name_of_a_person_is_forgotten_with_them(tmp_path):
    people = Pseudonyms(tmp_path / "people.json", {})
    pseudonym = people.get_or_create("ada@example.org")
    assert "aliases" not in people.path.read_text()
    people.add_alias("3", pseudonym)
    assert people.get_or_create("3") == people.find("3") == pseudonym and people.aliases() == {"3": pseudonym}
    people.forget(pseudonym)
    assert people.find("3") is None and "aliases" not in people.path.read_text()
