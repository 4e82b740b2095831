"""Convert a row of a file to a judgement: find its pictures, replace names by pseudonyms, derive an id."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pydantic import ValidationError

from hfi_core.feedback.formats.annotators import PseudonymMap
from hfi_core.feedback.formats.answers import format_value, parse_answer, parse_rating
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.row import RATING, ReadOptions
from hfi_core.feedback.formats.times import parse_time
from hfi_core.feedback.schema import BinaryJudgement, Judgement, parse_judgement
from hfi_core.io.hashing import sha256_of_json
from hfi_core.io.printable_text import escape_unprintable

_MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class ImportContext:
    """What the project knows: its pictures, questions and people."""

    pictures: PictureIndex
    kinds: Mapping[str, str]
    """The kind of question by concept, from params.yaml."""
    names: PseudonymMap


def convert_row(row: Mapping[str, Any], options: ReadOptions, context: ImportContext) -> tuple[Judgement, bool]:
    """Convert a row's fields to a judgement. Return it, and whether its id was derived.

    Raises ValueError with the reason if the row is not a judgement.
    """
    fields = {name: value for name, value in row.items() if value is not None}
    fields["concept"] = concept = _concept(fields, options, context)
    fields["kind"] = kind = fields.get("kind") or ("ranking" if "groups" in fields else "binary")
    if kind != context.kinds[concept] and kind in ("binary", "ranking"):
        raise ValueError(f"is {kind} feedback, but params.yaml asks for {context.kinds[concept]} on {concept!r}")
    fields["annotator"] = context.names.get_pseudonym(*_annotator_names(fields, options))
    if kind == "binary":
        fields |= _picture(fields, context.pictures)
        if RATING in fields:
            fields["answer"] = parse_rating(fields.pop(RATING), options)
        elif not is_empty(fields.get("answer")):
            fields["answer"] = parse_answer(fields["answer"], options)
        else:
            raise ValueError("has no answer; remove the row, or pass over such rows with --skip-empty")
    elif kind == "ranking":
        fields |= _pictures(fields, context.pictures)
    for name in ("shown_at", "answered_at"):
        if name in fields:
            fields[name] = parse_time(fields[name], options)
    derived = "id" not in fields
    if derived:
        fields["id"] = "i"
    judgement = _parsed(fields)
    return (judgement.model_copy(update={"id": derive_id(judgement)}) if derived else judgement), derived


def is_empty(value: Any) -> bool:
    """Return whether a value is missing or blank."""
    return value is None or (isinstance(value, str) and not value.strip())


def format_answer(judgement: Judgement) -> str:
    """Format the answer as text. Equal answers give equal text."""
    if isinstance(judgement, BinaryJudgement):
        return judgement.answer
    return json.dumps([judgement.groups, judgement.not_applicable])


def format_answer_time(judgement: Judgement) -> str | None:
    """Format the time of the answer in UTC, so that text sorts by time."""
    at = judgement.answered_at
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def derive_id(judgement: Judgement) -> str:
    """Derive an id from annotator, question, answer and time: the same answer has the same id in every export."""
    question = [judgement.annotator, judgement.concept, judgement.kind, *sorted(judgement.pictures)]
    return f"import-{sha256_of_json([question, format_answer(judgement), format_answer_time(judgement)])[:40]}"


def _concept(fields: Mapping[str, Any], options: ReadOptions, context: ImportContext) -> str:
    only = next(iter(context.kinds)) if len(context.kinds) == 1 else None
    concept = fields.get("concept") or options.concept or only
    if concept is None:
        raise ValueError(f"names no concept; name it with --concept: {', '.join(context.kinds)}")
    if not isinstance(concept, str) or concept not in context.kinds:
        raise ValueError(
            f"there is no concept {format_value(concept)} in params.yaml; there are {', '.join(context.kinds)}"
        )
    return concept


def _annotator_names(fields: Mapping[str, Any], options: ReadOptions) -> tuple[str, str | None]:
    """Return the annotator's name, and the number by which another export of the same tool may call the person."""
    name = fields.get("annotator")
    if is_empty(name):
        name = options.annotator
    if isinstance(name, Mapping):
        email, number = name.get("email"), name.get("id")
        if email and number is not None:
            return _annotator_name(email), _annotator_name(number)
        name = email or number
    return _annotator_name(name), None


def _annotator_name(name: Any) -> str:
    if isinstance(name, int) and not isinstance(name, bool) and abs(name) < 10**18:
        name = str(name)
    if not isinstance(name, str) or not name.strip():
        raise ValueError("names no annotator; name the column, or the one annotator of all rows with --annotator")
    name = unicodedata.normalize("NFC", name.strip())
    if len(name) > _MAX_NAME_LENGTH or any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError(
            f"the annotator {format_value(name)} has more than {_MAX_NAME_LENGTH} characters, or control characters"
        )
    return name


def _picture(fields: Mapping[str, Any], pictures: PictureIndex) -> dict[str, str]:
    name, digest = fields.get("picture"), fields.get("sha256")
    if name is None and digest is None:
        raise ValueError("names no picture: its id, its file's name, or its sha256")
    for value in (name, digest):
        if value is not None and not isinstance(value, str):
            raise ValueError(f"the picture {format_value(value)} is not text")
    candidate = pictures.find(fields["concept"], name, _bare_digest(digest) if digest else None)
    return {"picture": candidate.id, "sha256": candidate.sha256}


def _bare_digest(digest: str) -> str:
    return digest.strip().lower().removeprefix("sha256:")


def _pictures(fields: Mapping[str, Any], pictures: PictureIndex) -> dict[str, Any]:
    digests_by_picture = fields.get("digests", {})
    current_digests: dict[str, str] = {}
    if not isinstance(digests_by_picture, dict) or not all(
        isinstance(digest, str) for digest in digests_by_picture.values()
    ):
        raise ValueError(f"the digests {format_value(digests_by_picture)} are not a mapping of pictures to sha256")
    digests_by_picture = {name: _bare_digest(digest) for name, digest in digests_by_picture.items()}

    def ids(names: Any) -> list[str]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{format_value(names)} is not a list of pictures")
        candidates = [pictures.find(fields["concept"], name, digests_by_picture.get(name)) for name in names]
        current_digests.update((candidate.id, candidate.sha256) for candidate in candidates)
        return [candidate.id for candidate in candidates]

    groups = fields.get("groups", [])
    if not isinstance(groups, list):
        raise ValueError(f"the groups {format_value(groups)} are not a list")
    ranking: dict[str, Any] = {"groups": [ids(group) for group in groups]}
    if "not_applicable" in fields:
        ranking["not_applicable"] = ids(fields["not_applicable"])
    if other := digests_by_picture.keys() - current_digests.keys():
        raise ValueError(f"digests: {format_value(min(other))} is neither ranked nor not_applicable")
    return ranking | {"digests": current_digests}


def _parsed(fields: Mapping[str, Any]) -> Judgement:
    try:
        return parse_judgement(json.dumps(fields, allow_nan=False))
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        location = ".".join(str(part) for part in mistake["loc"] if part not in ("binary", "ranking"))
        field = location[:80] or ("kind" if mistake["type"].startswith("union_tag") else "")
        message = mistake["msg"].removeprefix("Value error, ")[:300]
        raise ValueError(escape_unprintable(f"{field}: {message}" if field else message)) from error
    except (TypeError, RecursionError) as error:
        raise ValueError("holds a value that no field of a judgement can have") from error
