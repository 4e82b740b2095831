"""The words of the interface, one JSON file a language. English is complete; what another lacks is said in English."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "locales"
ENGLISH = "en"


@cache
def languages() -> dict[str, str]:
    """Names of the languages there are, each in itself, by code."""
    return {path.stem: read_words(path.stem)["language"] for path in sorted(_FOLDER.glob("*.json"))}


@cache
def read_words(language: str) -> dict[str, str]:
    """The catalogue of a language as it stands in its file."""
    return json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Words:
    """A language's words. Call it with a key and the values of its `{placeholders}`."""

    language: str

    @property
    def all(self) -> dict[str, str]:
        """Every word by key."""
        return read_words(ENGLISH) | read_words(self.language)

    def __call__(self, key: str, /, **values: object) -> str:
        """The text; with `n`, the singular `KEY.one` where n is 1 and there is one."""
        words = self.all
        if values.get("n") == 1 and f"{key}.one" in words:
            key = f"{key}.one"
        text = words[key]
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        return text


def words_for(preferred: str | None, accept_language: str) -> Words:
    """The language that the annotator chose, else the first one that the browser asks for, else English."""
    if preferred in languages():
        return Words(preferred)
    asked = []
    for place, part in enumerate(accept_language.split(",")[:20]):
        code, _, weight = part.strip().partition(";q=")
        try:
            asked.append((-float(weight or 1), place, code.strip()[:2].lower()))
        except ValueError:
            continue
    return Words(next((code for _, _, code in sorted(asked) if code in languages()), ENGLISH))
