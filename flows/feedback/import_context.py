"""What an import needs of the project: its candidates, questions and people. The command and the inbox share it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfi_core.candidates.manifest import MANIFEST, read_manifest
from hfi_core.feedback.formats.annotators import open_pseudonym_map
from hfi_core.feedback.formats.convert import ImportContext
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.staging import ImportCounts
from hfi_core.feedback.store.pseudonyms import open_people
from hfi_core.params import Params
from hfi_core.pipeline.layout import CANDIDATES


def list_candidate_folders(params: Params) -> dict[str, Path]:
    """The folder of each concept's candidates."""
    return {name: CANDIDATES / name for name in params.concepts}


@contextmanager
def open_import_context(params: Params) -> Iterator[ImportContext]:
    """What one file's rows are held against; people who are new are entered only if the file counts."""
    known = {
        name: read_manifest(at) for name, at in list_candidate_folders(params).items() if (at / MANIFEST).is_file()
    }
    kinds = {name: asked.feedback for name, asked in params.concepts.items()}
    with open_pseudonym_map(open_people()) as names:
        yield ImportContext(PictureIndex(known), kinds, names)


def format_counts(counts: ImportCounts) -> str:
    """What an import came to, in words."""
    parts = [f"{counts.new} new judgements"]
    parts += [f"{counts.known} known already"] if counts.known else []
    parts += [f"{counts.outdated} older than the same annotator's answer"] if counts.outdated else []
    parts += [f"{counts.passed_over} without an answer"] if counts.passed_over else []
    return ", ".join(parts)
