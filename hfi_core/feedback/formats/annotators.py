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
        self._known = {name: pseudonym for pseudonym, name in people.names().items()}
        self._new: dict[str, str] = {}

    def get_pseudonym(self, name: str) -> str:
        """Return the pseudonym of a name; for a new name a provisional one."""
        if _PSEUDONYM.match(name):
            return name
        pseudonym = self._known.get(name) or self._new.get(name)
        if pseudonym is None:
            pseudonym = self._new[name] = self._scratch.get_or_create(name)
        return pseudonym

    @property
    def new_names(self) -> tuple[str, ...]:
        """The names that are not in the list of people."""
        return tuple(self._new)

    def register(self) -> dict[str, str]:
        """Add the new names to the list of people. Return their final pseudonyms by the provisional ones."""
        return {provisional: self._people.get_or_create(name) for name, provisional in self._new.items()}


@contextmanager
def open_pseudonym_map(people: Pseudonyms) -> Iterator[PseudonymMap]:
    """Open the pseudonyms of one import.

    With the key in the environment, a provisional pseudonym equals the final one. A machine that does not know a name
    then recognises what the store already holds by this person.
    """
    with TemporaryDirectory() as folder:
        yield PseudonymMap(people, Pseudonyms(Path(folder) / "people.json", people.environment))
