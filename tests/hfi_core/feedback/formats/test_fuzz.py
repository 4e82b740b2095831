"""Damaged files of every format: each is imported whole or refused with a message, and never in part."""

import json
import random
from pathlib import Path

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.formats.importer import import_file
from hfi_core.feedback.formats.label_studio.tasks import link_pictures
from hfi_core.feedback.formats.registry import FORMATS
from hfi_core.feedback.schema import parse_judgement
from hfi_core.feedback.store import Store
from tests.support.format_imports import BADGES, STYLES, project, store_in

ODD = (
    b"null", b"-1", b"1e999", b"NaN", b"[[", b"{}", b'"', b"'", b",", b"\t", b"\n", b"\x00", b"\xff", b"\xef\xbb\xbf",
    b"\xed\xa0\x80", b'"=1+1"', b'"id"', b"yes", b"../../etc/passwd", b"9" * 5000, b"[" * 2000, "\u0085\u2028".encode(),
)  # fmt: skip


def _rows() -> list:
    day = "2026-01-02T03:04:05+00:00"
    binary = [
        {"id": f"b{n}", "annotator": f"a-{n % 2:012x}", "concept": "badge", "kind": "binary", "picture": badge.id,
         "sha256": badge.sha256, "answer": ("yes", "no", "cant_tell")[n % 3], "answered_at": day, "note": "a, \"b\"; c"}
        for n, badge in enumerate(BADGES)
    ]  # fmt: skip
    shown = [style.id for style in STYLES]
    ranked = {"id": "r", "annotator": "a-000000000000", "concept": "klara", "kind": "ranking", "answered_at": day,
              "groups": [shown[:2], shown[2:4]], "not_applicable": shown[4:]}  # fmt: skip
    return [parse_judgement(json.dumps(row)) for row in [*binary, ranked]]


def _damage(content: bytes, rng: random.Random) -> bytes:
    """One to four changes at random places."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice((1, 1, 2, 8, 60)))
        put = rng.choice((b"", content[start:end] * 2, rng.choice(ODD), rng.choice(ODD), rng.randbytes(3)))
        content = content[:start] + put + content[rng.choice((start, end)) :]
        if rng.random() < 0.05:
            content = content[:start]
    return content


def _held(store: Store) -> set[str]:
    return {judgement.id for judgement in store.judgements()}


def _try(folder: Path, format: str, count: int) -> tuple[int, int]:
    """How many damaged files were imported, and how many were refused."""
    with store_in(folder) as store:
        path = folder / "whole"
        FORMATS[format].write(path, _rows(), link_pictures("https://pictures"))
        whole = path.read_bytes()
        imported = refused = 0
        for number in range(count):
            rng = random.Random(f"{format} {number}")
            path = folder / f"damaged.{'tsv' if format == 'tsv' else 'txt'}"
            path.write_bytes(_damage(whole, rng))
            before = _held(store)
            try:
                with project(folder) as held:
                    _, counts = import_file(path, held, store, format=rng.choice((None, format)))
            except UserError as error:
                refused += 1
                assert str(error).strip(), number
                assert _held(store) == before, f"file {number} was imported in part"
            else:
                imported += 1
                assert len(_held(store) - before) == counts.new, number
                assert before <= _held(store), number
        return imported, refused


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_file_is_imported_whole_or_refused(tmp_path, format):
    imported, refused = _try(tmp_path, format, 40)
    assert refused, "no damage was found"
    assert imported + refused == 40


@pytest.mark.soak
@pytest.mark.parametrize("format", FORMATS)
def test_ten_thousand_damaged_files_are_imported_whole_or_refused(tmp_path, format):
    assert sum(_try(tmp_path, format, 2000)) == 2000
