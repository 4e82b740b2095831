"""Replace annotators' names by pseudonyms. New names enter the list of people only when their file is imported."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hfi_core.feedback.store.pseudonyms import Pseudonyms

_PSEUDONYM = re.compile(r"^a-[0-9a-f]{12}$")
"""A name of this form is already a pseudonym, and is kept: `hfi feedback export` writes pseudonyms."""


class PseudonymMap:
    """The pseudonyms of one import, by name. Nobody enters the list of people before `register`."""

    def __init__(self, people: Pseudonyms, scratch: Pseudonyms):
        self._people, self._scratch = people, scratch
        self._known = people.aliases() | {name: pseudonym for pseudonym, name in people.names().items()}
        self._new: dict[str, str] = {}
        self._aliases: dict[str, str] = {}

    def get_pseudonym(self, name: str, number: str | None = None) -> str:
        """Return the pseudonym of a name; for a new name a provisional one.

        `number` is the number by which the same tool calls the person elsewhere. Both become one person, unless the
        number already belongs to somebody with another name, in another installation of the tool.
        """
        if _PSEUDONYM.match(name):
            return name
        pseudonym = self._find(name)
        if pseudonym is None and number is not None and (owner := self._find(number)) and not self._has_name(owner):
            pseudonym = self._aliases[name] = owner
        if pseudonym is None:
            pseudonym = self._new[name] = self._scratch.get_or_create(name)
        if number is not None and self._find(number) is None:
            self._aliases[number] = pseudonym
        return pseudonym

    def _find(self, name: str) -> str | None:
        return self._known.get(name) or self._new.get(name) or self._aliases.get(name)

    def _has_name(self, pseudonym: str) -> bool:
        """Return whether a person has another name than a number."""
        names = (self._known, self._new, self._aliases)
        return any(owner == pseudonym and not name.isdecimal() for known in names for name, owner in known.items())

    @property
    def new_names(self) -> tuple[str, ...]:
        """The names that are not in the list of people."""
        return tuple(self._new)

    def register(self) -> dict[str, str]:
        """Add the new names to the list of people. Return their final pseudonyms by the provisional ones."""
        final = {provisional: self._people.get_or_create(name) for name, provisional in self._new.items()}
        for alias, pseudonym in self._aliases.items():
            self._people.add_alias(alias, final.get(pseudonym, pseudonym))
        return final


@contextmanager
def open_pseudonym_map(people: Pseudonyms) -> Iterator[PseudonymMap]:
    """Open the pseudonyms of one import.

    With the key in the environment, a provisional pseudonym equals the final one. A machine that does not know a name
    then recognises what the store already holds by this person.
    """
    with TemporaryDirectory() as folder:
        yield PseudonymMap(people, Pseudonyms(Path(folder) / "people.json", people.environment))
