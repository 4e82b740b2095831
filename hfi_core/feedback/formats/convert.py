"""From a row as a file has it to a judgement: pictures found, people made pseudonyms, an id that lasts."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pydantic import ValidationError

from hfi_core.feedback.formats.annotators import PseudonymMap
from hfi_core.feedback.formats.answers import format_value, parse_answer, parse_rating, printable
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.row import RATING, ReadOptions
from hfi_core.feedback.schema import BinaryJudgement, Judgement, parse_judgement
from hfi_core.io.hashing import sha256_of_json

_MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class ImportContext:
    """What a row is held against."""

    pictures: PictureIndex
    kinds: Mapping[str, str]
    """The kind of question by concept, as params.yaml asks it."""
    names: PseudonymMap


def convert_row(fields: Mapping[str, Any], reading: ReadOptions, project: ImportContext) -> tuple[Judgement, bool]:
    """The judgement, and whether its id was derived; ValueError with the reason where it is none."""
    made = {name: value for name, value in fields.items() if value is not None}
    made["concept"] = concept = _concept(made, reading, project)
    made["kind"] = kind = made.get("kind") or ("ranking" if "groups" in made else "binary")
    if kind != project.kinds[concept] and kind in ("binary", "ranking"):
        raise ValueError(f"is {kind} feedback, but params.yaml asks for {project.kinds[concept]} on {concept!r}")
    made["annotator"] = project.names.pseudonym_of(_annotator(made, reading))
    if kind == "binary":
        made |= _picture(made, project.pictures)
        if RATING in made:
            made["answer"] = parse_rating(made.pop(RATING), reading)
        elif "answer" in made:
            made["answer"] = parse_answer(made["answer"], reading)
    elif kind == "ranking":
        made |= _pictures(made, project.pictures)
    derived = "id" not in made
    if derived:
        made["id"] = "i"
    judgement = _parsed(made)
    return (judgement.model_copy(update={"id": derive_id(judgement)}) if derived else judgement), derived


def format_answer(judgement: Judgement) -> str:
    """What was answered, as text that is equal for equal answers."""
    if isinstance(judgement, BinaryJudgement):
        return judgement.answer
    return json.dumps([judgement.groups, judgement.not_applicable])


def format_answer_time(judgement: Judgement) -> str | None:
    """When it was answered, in UTC and such that text sorts as time does."""
    at = judgement.answered_at
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def derive_id(judgement: Judgement) -> str:
    """The same for the same answer in whatever export it comes: of who answered what, about what, and when."""
    said = [judgement.annotator, judgement.concept, judgement.kind, *sorted(judgement.pictures)]
    return f"import-{sha256_of_json([said, format_answer(judgement), format_answer_time(judgement)])[:40]}"


def _concept(made: Mapping[str, Any], reading: ReadOptions, project: ImportContext) -> str:
    only = next(iter(project.kinds)) if len(project.kinds) == 1 else None
    concept = made.get("concept") or reading.concept or only
    if concept is None:
        raise ValueError(f"names no concept; say with --concept which of {', '.join(project.kinds)} it is about")
    if not isinstance(concept, str) or concept not in project.kinds:
        raise ValueError(
            f"there is no concept {format_value(concept)} in params.yaml; there are {', '.join(project.kinds)}"
        )
    return concept


def _annotator(made: Mapping[str, Any], reading: ReadOptions) -> str:
    name = made.get("annotator", reading.annotator)
    if isinstance(name, int) and not isinstance(name, bool) and abs(name) < 10**18:
        name = str(name)
    if not isinstance(name, str) or not name.strip():
        raise ValueError("says nobody who judged; name the column, or the one annotator of all rows with --annotator")
    name = unicodedata.normalize("NFC", name.strip())
    if len(name) > _MAX_NAME_LENGTH or any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError(f"the annotator {format_value(name)} is no name of at most {_MAX_NAME_LENGTH} characters")
    return name


def _picture(made: Mapping[str, Any], pictures: PictureIndex) -> dict[str, str]:
    name, digest = made.get("picture"), made.get("sha256")
    if name is None and digest is None:
        raise ValueError("names no picture: its id, its file's name, or its sha256")
    for value in (name, digest):
        if value is not None and not isinstance(value, str):
            raise ValueError(f"the picture {format_value(value)} is no text")
    found = pictures.find(made["concept"], name, digest.removeprefix("sha256:").lower() if digest else None)
    return {"picture": found.id, "sha256": found.sha256}


def _pictures(made: Mapping[str, Any], pictures: PictureIndex) -> dict[str, Any]:
    said, seen = made.get("digests", {}), {}
    if not isinstance(said, dict) or not all(isinstance(digest, str) for digest in said.values()):
        raise ValueError(f"the digests {format_value(said)} are no sha256 by picture")

    def ids(names: Any) -> list[str]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{format_value(names)} is no list of pictures")
        found = [pictures.find(made["concept"], name, said.get(name)) for name in names]
        seen.update((one.id, one.sha256) for one in found)
        return [one.id for one in found]

    groups = made.get("groups", [])
    if not isinstance(groups, list):
        raise ValueError(f"the groups {format_value(groups)} are no list")
    found: dict[str, Any] = {"groups": [ids(group) for group in groups]}
    if "not_applicable" in made:
        found["not_applicable"] = ids(made["not_applicable"])
    if other := said.keys() - seen.keys():
        raise ValueError(f"digests: {format_value(min(other))} is no picture that is ranked or not_applicable")
    return found | {"digests": seen}


def _parsed(made: Mapping[str, Any]) -> Judgement:
    try:
        return parse_judgement(json.dumps(made, allow_nan=False))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [str(part) for part in first["loc"] if part not in ("binary", "ranking")]
        field = ".".join(place)[:80] or ("kind" if first["type"].startswith("union_tag") else "")
        said = first["msg"].removeprefix("Value error, ")[:300]
        raise ValueError(printable(f"{field}: {said}" if field else said)) from error
    except (TypeError, RecursionError) as error:
        raise ValueError("holds a value that no field of a judgement can have") from error
