"""Reads a feedback file line by line; every mistake in it is named by file, line, field and remedy."""

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn

from pydantic import ValidationError

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, is_current, parse_judgement

MOST_BYTES = 1 << 20
"""A longer line is refused before it fills the memory."""

_FORMAT = "docs/reference/feedback-format.md shows the format"


def read_judgements(path: Path) -> Iterator[tuple[int, BinaryJudgement | RankingJudgement]]:
    """Yield (line number, judgement), in constant memory; blank lines are passed over.

    Raises UserError at the first line that is no judgement.
    """
    with _open(path) as stream:
        number = 0
        while raw := stream.readline(MOST_BYTES + 1):
            number += 1
            if len(raw) > MOST_BYTES:
                refuse(path, number, None, f"is longer than {MOST_BYTES} bytes", "write one judgement a line")
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)  # Windows editors set one
            if raw.strip():
                yield number, _parse(path, number, raw)


def check_judgement(
    path: Path,
    number: int,
    judgement: BinaryJudgement | RankingJudgement,
    kind: str,
    candidates: Mapping[str, Candidate],
) -> None:
    """Hold a judgement against its concept: the kind of question, and the manifest's candidates by id.

    Raises UserError for another kind of question, an unknown picture, or a picture with another digest.
    """
    check_kind(path, number, judgement, kind)
    check_pictures(path, number, judgement, candidates)


def check_kind(path: Path, number: int, judgement: BinaryJudgement | RankingJudgement, kind: str) -> None:
    """Raise UserError for a judgement that answers another kind of question than params ask."""
    concept = judgement.concept
    if judgement.kind != kind:
        refuse(
            path, number, "kind", f"is {judgement.kind!r}, but params.yaml asks for {kind!r} feedback on {concept!r}",
            f"set concepts.{concept}.feedback to the kind of question that was asked",
        )  # fmt: skip


def check_pictures(
    path: Path, number: int, judgement: BinaryJudgement | RankingJudgement, candidates: Mapping[str, Candidate]
) -> None:
    """Raise UserError for a judgement about a picture that is no candidate, or that was redrawn since."""
    concept = judgement.concept
    if is_current(judgement, candidates):
        return
    binary = isinstance(judgement, BinaryJudgement)
    for picture in judgement.pictures:
        if picture not in candidates:
            refuse(
                path, number, "picture" if binary else "groups", f"names {picture!r}, which the manifest of "
                f"{concept!r} does not hold", "bring back the candidates that were judged, or take the line out",
            )  # fmt: skip
    redrawn = next(name for name, digest in judgement.seen.items() if digest not in (None, candidates[name].sha256))
    refuse(
        path, number, "sha256" if binary else "digests", f"is not that of picture {redrawn!r} in the manifest of "
        f"{concept!r}: another picture was judged",
        "bring back the candidates that were judged, or take the line out and have the new ones judged",
    )  # fmt: skip


def refuse(path: Path, number: int, field: str | None, what: str, remedy: str) -> NoReturn:
    """Raise UserError about one line."""
    raise UserError(f"{path}, line {number}{f', {field}' if field else ''}: {what}.\n  To mend it: {remedy}.")


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        pull = "If DVC tracks it, `dvc pull` brings it here"
        if any(place.with_name(f"{place.name}.dvc").is_file() for place in (path, *path.parents) if place.name):
            pull = f"DVC tracks it: `dvc pull {path}` brings it here"
        raise UserError(f"{path} is missing; feedback.file in params.yaml names it.\n  {pull}.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a directory; feedback.file names one JSONL file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _parse(path: Path, number: int, raw: bytes) -> BinaryJudgement | RankingJudgement:
    try:
        return parse_judgement(raw.decode("utf-8"))
    except UnicodeDecodeError:
        refuse(path, number, None, "is not UTF-8", "save the file as UTF-8")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # A field's place starts with the kind that pydantic chose, which is no field.
        place = [str(part) for part in first["loc"] if part not in ("binary", "ranking")]
        field = ".".join(place) or None
        if first["type"] == "json_invalid":
            refuse(path, number, None, f"is no JSON object ({first['ctx']['error']})", "complete it or take it out")
        if first["type"].startswith("union_tag"):
            field = "kind"
        refuse(path, number, field, first["msg"].removeprefix("Value error, "), _FORMAT)
