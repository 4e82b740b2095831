"""Translate the interface. Each language has one JSON file; English fills the gaps of the others."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_LOCALES = Path(__file__).parent / "locales"
ENGLISH = "en"


@cache
def list_languages() -> dict[str, str]:
    """Return the name of each language, in that language, by its code."""
    return {path.stem: read_catalogue(path.stem)["language"] for path in sorted(_LOCALES.glob("*.json"))}


@cache
def read_catalogue(language: str) -> dict[str, str]:
    """Return the texts of a language's file by key."""
    return json.loads((_LOCALES / f"{language}.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Translations:
    """The texts of a language. Call it with a key and the values of the text's `{placeholders}`."""

    language: str

    @property
    def texts(self) -> dict[str, str]:
        """All texts by key."""
        return read_catalogue(ENGLISH) | read_catalogue(self.language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of a key. If `n` is 1, `KEY.one` comes first (the singular), where it exists."""
        texts = self.texts
        if values.get("n") == 1 and f"{key}.one" in texts:
            key = f"{key}.one"
        text = texts[key]
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        return text


def choose_translations(preferred: str | None, accept_language: str) -> Translations:
    """Return the language that the annotator chose, else the best of the header Accept-Language, else English."""
    if preferred in list_languages():
        return Translations(preferred)
    accepted = []
    for position, part in enumerate(accept_language.split(",")[:20]):
        code, _, weight = part.strip().partition(";q=")
        try:
            accepted.append((-float(weight or 1), position, code.strip()[:2].lower()))
        except ValueError:
            continue
    return Translations(next((code for _, _, code in sorted(accepted) if code in list_languages()), ENGLISH))
