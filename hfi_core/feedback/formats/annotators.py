"""The annotators of a file: known names become their pseudonyms, new ones are entered only when the file counts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hfi_core.feedback.store.pseudonyms import Pseudonyms

_PSEUDONYM = re.compile(r"^a-[0-9a-f]{12}$")
"""A name of this form is a pseudonym already: what `hfi feedback export` wrote comes back as it was."""


class PseudonymMap:
    """Pseudonyms by name for one import; nobody is entered into the list of people before `enter`."""

    def __init__(self, people: Pseudonyms, scratch: Pseudonyms):
        self._people, self._scratch = people, scratch
        self._known = {name: pseudonym for pseudonym, name in people.names().items()}
        self._new: dict[str, str] = {}

    def pseudonym_of(self, name: str) -> str:
        """The pseudonym; of a new name a provisional one."""
        if _PSEUDONYM.match(name):
            return name
        found = self._known.get(name) or self._new.get(name)
        if found is None:
            found = self._new[name] = self._scratch.pseudonym(name)
        return found

    @property
    def newcomers(self) -> tuple[str, ...]:
        """Names that are not in the list of people."""
        return tuple(self._new)

    def enter(self) -> dict[str, str]:
        """Enter the newcomers; their pseudonyms by the provisional ones."""
        return {provisional: self._people.pseudonym(name) for name, provisional in self._new.items()}


@contextmanager
def open_pseudonym_map(people: Pseudonyms) -> Iterator[PseudonymMap]:
    """The names of one import.

    With the key in the environment a provisional pseudonym is the one that lasts, so that what the store holds of
    somebody is recognised on a machine that has not met the name.
    """
    with TemporaryDirectory() as folder:
        yield PseudonymMap(people, Pseudonyms(Path(folder) / "people.json", people.environment))
