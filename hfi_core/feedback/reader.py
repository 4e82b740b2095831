"""Read a feedback file line by line. Errors name file, line, field and remedy."""

import codecs
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn

from pydantic import ValidationError

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, is_current, parse_judgement

MAX_LINE_BYTES = 1 << 20
"""A longer line is rejected before it fills the memory."""

_FORMAT = "docs/reference/feedback-format.md shows the format"


def read_judgements(path: Path) -> Iterator[tuple[int, BinaryJudgement | RankingJudgement]]:
    """Yield (line number, judgement) in constant memory, skipping blank lines.

    Raises UserError at the first line that is not a judgement.
    """
    with _open(path) as stream:
        number = 0
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                reject_line(
                    path, number, None, f"is longer than {MAX_LINE_BYTES} bytes", "write one judgement per line"
                )
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
    """Raise UserError if a judgement does not fit its concept: another kind of question, or other pictures.

    `candidates` are the manifest's by id.
    """
    check_kind(path, number, judgement, kind)
    check_pictures(path, number, judgement, candidates)


def check_kind(path: Path, number: int, judgement: BinaryJudgement | RankingJudgement, kind: str) -> None:
    """Raise UserError if a judgement answers another kind of question than params ask."""
    concept = judgement.concept
    if judgement.kind != kind:
        reject_line(
            path, number, "kind", f"is {judgement.kind!r}, but params.yaml asks for {kind!r} feedback on {concept!r}",
            f"set concepts.{concept}.feedback to the kind of question that was asked",
        )  # fmt: skip


def check_pictures(
    path: Path, number: int, judgement: BinaryJudgement | RankingJudgement, candidates: Mapping[str, Candidate]
) -> None:
    """Raise UserError if a judged picture is not a candidate, or was redrawn since."""
    concept = judgement.concept
    if is_current(judgement, candidates):
        return
    binary = isinstance(judgement, BinaryJudgement)
    for picture in judgement.pictures:
        if picture not in candidates:
            reject_line(
                path, number, "picture" if binary else "groups", f"names {picture!r}, which the manifest of "
                f"{concept!r} does not hold", "bring back the candidates that were judged, or remove the line",
            )  # fmt: skip
    redrawn = next(
        name for name, digest in judgement.picture_digests.items() if digest not in (None, candidates[name].sha256)
    )
    reject_line(
        path, number, "sha256" if binary else "digests", f"is not that of picture {redrawn!r} in the manifest of "
        f"{concept!r}: another picture was judged",
        "bring back the candidates that were judged, or remove the line and have the new ones judged",
    )  # fmt: skip


def reject_line(path: Path, number: int, field: str | None, mistake: str, remedy: str) -> NoReturn:
    """Raise UserError about one line of a file."""
    raise UserError(f"{path}, line {number}{f', {field}' if field else ''}: {mistake}.\n  To fix this: {remedy}.")


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        hint = "If DVC tracks it, `dvc pull` brings it back"
        if any(node.with_name(f"{node.name}.dvc").is_file() for node in (path, *path.parents) if node.name):
            hint = f"DVC tracks it: `dvc pull {path}` brings it back"
        raise UserError(f"{path} is missing; feedback.file in params.yaml names it.\n  {hint}.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; feedback.file has to name a JSONL file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


class _RepeatedKeyError(Exception):
    """An object says two things under one key."""


def _require_unique_keys(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _RepeatedKeyError(f"holds the key {max(names, key=names.count)!r} twice")


def _parse(path: Path, number: int, raw: bytes) -> BinaryJudgement | RankingJudgement:
    try:
        text = raw.decode("utf-8")
        judgement = parse_judgement(text)
        json.loads(text, object_pairs_hook=_require_unique_keys)
        return judgement
    except UnicodeDecodeError:
        reject_line(path, number, None, "is not UTF-8", "save the file as UTF-8")
    except _RepeatedKeyError as error:
        reject_line(path, number, None, str(error), "remove one of the two values")
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        # pydantic begins a field's location with the kind that it chose, which is not a field.
        field = ".".join(str(part) for part in mistake["loc"] if part not in ("binary", "ranking")) or None
        if mistake["type"] == "json_invalid":
            reject_line(
                path, number, None, f"is not a JSON object ({mistake['ctx']['error']})", "complete or remove it"
            )
        if mistake["type"].startswith("union_tag"):
            field = "kind"
        reject_line(path, number, field, mistake["msg"].removeprefix("Value error, "), _FORMAT)
