"""Who is behind a pseudonym: a key and a list, apart from the store, for the owner's eyes only.

The store knows `a-0123456789ab`. Here lies which name that is. `forget` takes the name out, and with it the random
part that went into the pseudonym: then not even who holds the key can tell whose it was.
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
"""With the key in the environment pseudonyms are the same wherever it is set, and nothing random goes into them."""
PEOPLE_FILE = Path(".hfi/people.json")
_LEAST_KEY = 16
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str | None
    people: dict[str, str] = {}
    """Name by pseudonym."""
    salts: dict[str, str] = {}
    """What was random in a pseudonym."""


@dataclass(frozen=True)
class Pseudonyms:
    """The list of people in a file that only its owner can read."""

    path: Path = PEOPLE_FILE
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def pseudonym(self, name: str) -> str:
        """The pseudonym of a name, a new one for a new name."""
        with self._lock():
            content = self._read()
            for pseudonym, known in content.people.items():
                if known == name:
                    return pseudonym
            given = self._given_key()
            key = given or content.key or secrets.token_hex(32)
            salt = "" if given else secrets.token_hex(16)
            pseudonym = "a-" + hmac.new(key.encode(), f"{salt}{name}".encode(), hashlib.sha256).hexdigest()[:12]
            content.key = content.key if given else key
            content.people[pseudonym] = name
            content.salts[pseudonym] = salt
            self._write(content)
            return pseudonym

    def name_of(self, pseudonym: str) -> str | None:
        """The name behind a pseudonym, if it is known here."""
        return self.names().get(pseudonym)

    def names(self) -> dict[str, str]:
        """Name by pseudonym."""
        return dict(self._read().people)

    def find(self, annotator: str) -> str | None:
        """The pseudonym that a name or a pseudonym stands for, without making one."""
        names = self.names()
        if annotator in names:
            return annotator
        return next((pseudonym for pseudonym, name in names.items() if name == annotator), None)

    def forget(self, pseudonym: str) -> bool:
        """Take a person out; whether they were there."""
        with self._lock():
            content = self._read()
            known = content.people.pop(pseudonym, None) is not None
            content.salts.pop(pseudonym, None)
            if known:
                self._write(content)
            return known

    def _given_key(self) -> str | None:
        key = self.environment.get(KEY_VARIABLE)
        if key is not None and len(key) < _LEAST_KEY:
            raise UserError(
                f"{KEY_VARIABLE} has fewer than {_LEAST_KEY} characters, so names could be guessed: set a longer one."
            )
        return key

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_name(f"{self.path.name}.lock").absolute(), mode=0o600)

    def _read(self) -> _Content:
        try:
            mode = self.path.stat().st_mode
            if os.name == "posix" and mode & _OTHERS:
                raise UserError(
                    f"{self.path} links pseudonyms to people, and others than its owner can read it: "
                    f"`chmod 600 {self.path}`, and think about who may have read it."
                )
            return _Content.model_validate(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return _Content(key=None)
        except (ValidationError, ValueError) as error:
            raise UserError(f"{self.path} is no list of people: bring back a backup of it.") from error
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error}") from error

    def _write(self, content: _Content) -> None:
        text = json.dumps(content.model_dump(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        with atomic_file(self.path) as beside:
            beside.unlink(missing_ok=True)
            # Nobody else may read it, not even for the moment before its permissions are set.
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)


def open_people(path: Path = PEOPLE_FILE) -> Pseudonyms:
    """The list of people of the project in the current folder.

    Raises UserError if others than its owner can read it.
    """
    people = Pseudonyms(path)
    people.names()
    return people
