"""Keep the names behind pseudonyms in a file apart from the store, which only its owner can read.

The store only holds pseudonyms such as `a-0123456789ab`. `forget` deletes a name, together with the random salt of its
pseudonym: after that, not even the holder of the key can find out whose pseudonym it was.
"""

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file

KEY_VARIABLE = "HFI_PEOPLE_KEY"
"""Environment variable of the key. Pseudonyms are then the same on all machines with this key, and have no salt."""
PEOPLE_FILE = Path(".hfi/people.json")
_MIN_KEY_LENGTH = 16
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _PeopleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str | None
    people: dict[str, str] = {}
    """Names by pseudonym."""
    salts: dict[str, str] = {}
    """Random salts by pseudonym."""
    aliases: dict[str, str] = {}
    """Pseudonyms by further names of the same person, such as a number in Label Studio."""


@dataclass(frozen=True)
class Pseudonyms:
    """The list of people in a file that only its owner can read."""

    path: Path = PEOPLE_FILE
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def get_or_create(self, name: str) -> str:
        """Return the pseudonym of a name. A new name gets a new one."""
        with self._lock():
            content = self._read()
            if name in content.aliases:
                return content.aliases[name]
            for pseudonym, known in content.people.items():
                if known == name:
                    return pseudonym
            environment_key = self._key_from_environment()
            key = environment_key or content.key or secrets.token_hex(32)
            salt = "" if environment_key else secrets.token_hex(16)
            pseudonym = "a-" + hmac.new(key.encode(), f"{salt}{name}".encode(), hashlib.sha256).hexdigest()[:12]
            content.key = content.key if environment_key else key
            content.people[pseudonym] = name
            content.salts[pseudonym] = salt
            self._write(content)
            return pseudonym

    def name_of(self, pseudonym: str) -> str | None:
        """Return the name behind a pseudonym; None if it is not in the list."""
        return self.names().get(pseudonym)

    def names(self) -> dict[str, str]:
        """Return names by pseudonym."""
        return dict(self._read().people)

    def aliases(self) -> dict[str, str]:
        """Return pseudonyms by further names."""
        return dict(self._read().aliases)

    def add_alias(self, alias: str, pseudonym: str) -> None:
        """Give a person of the list a further name."""
        with self._lock():
            content = self._read()
            content.aliases[alias] = pseudonym
            self._write(content)

    def find(self, annotator: str) -> str | None:
        """Return the pseudonym of a name or pseudonym in the list; None if there is none."""
        names = self.names()
        if annotator in names:
            return annotator
        found = next((pseudonym for pseudonym, name in names.items() if name == annotator), None)
        return found or self.aliases().get(annotator)

    def forget(self, pseudonym: str) -> bool:
        """Delete a person from the list. Return whether they were in it."""
        with self._lock():
            content = self._read()
            known = content.people.pop(pseudonym, None) is not None
            content.salts.pop(pseudonym, None)
            content.aliases = {name: owner for name, owner in content.aliases.items() if owner != pseudonym}
            if known:
                self._write(content)
            return known

    def _key_from_environment(self) -> str | None:
        key = self.environment.get(KEY_VARIABLE)
        if key is not None and len(key) < _MIN_KEY_LENGTH:
            raise UserError(
                f"{KEY_VARIABLE} has fewer than {_MIN_KEY_LENGTH} characters, so names could be guessed.\n"
                "  To fix this: set a longer key."
            )
        return key

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_name(f"{self.path.name}.lock").absolute(), mode=0o600)

    def _read(self) -> _PeopleFile:
        try:
            mode = self.path.stat().st_mode
            if os.name == "posix" and mode & _GROUP_AND_OTHERS:
                raise UserError(
                    f"{self.path} links pseudonyms to people, and others than its owner can read it.\n"
                    f"  To fix this: `chmod 600 {self.path}`, and consider who may have read it."
                )
            return _PeopleFile.model_validate(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return _PeopleFile(key=None)
        except (ValidationError, ValueError) as error:
            raise UserError(f"{self.path} is not a list of people: restore a backup of it.") from error
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error}") from error

    def _write(self, content: _PeopleFile) -> None:
        fields = content.model_dump(exclude=None if content.aliases else {"aliases"})
        text = json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        with atomic_file(self.path) as beside:
            beside.unlink(missing_ok=True)
            # Created with its permissions, so that no one else can read it for a moment.
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)


def open_people(path: Path = PEOPLE_FILE) -> Pseudonyms:
    """Open the list of people of the project in the current folder.

    Raises UserError if others than its owner can read it.
    """
    people = Pseudonyms(path)
    people.names()
    return people
