"""Collect what an import needs of the project: candidates, questions and people. The command and the inbox share it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hfi_core.candidates.manifest import MANIFEST, read_manifest
from hfi_core.feedback.formats.annotators import open_pseudonym_map
from hfi_core.feedback.formats.convert import ImportContext
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.row import GROUND_TRUTH, NO_ANSWER, REVIEW_REJECTED
from hfi_core.feedback.formats.staging import ImportCounts
from hfi_core.feedback.store.pseudonyms import open_people
from hfi_core.params import Params
from hfi_core.pipeline.layout import CANDIDATES


def list_candidate_folders(params: Params) -> dict[str, Path]:
    """Return the folder of candidates by concept."""
    return {name: CANDIDATES / name for name in params.concepts}


@contextmanager
def open_import_context(params: Params, folders: Mapping[str, Path] | None = None) -> Iterator[ImportContext]:
    """Open the context of one file's import. New people enter the list of people only if the file is imported.

    `folders` hold the pictures by concept; by default those of the candidates.
    """
    folders = list_candidate_folders(params) if folders is None else folders
    candidates = {name: read_manifest(folder) for name, folder in folders.items() if (folder / MANIFEST).is_file()}
    kinds = {name: concept.feedback for name, concept in params.concepts.items()}
    with open_pseudonym_map(open_people()) as pseudonyms:
        yield ImportContext(PictureIndex(candidates), kinds, pseudonyms)


def format_counts(counts: ImportCounts) -> str:
    """Format the counts of an import for people."""
    parts = [f"{counts.new} new judgements"]
    parts += [f"{counts.known} known already"] if counts.known else []
    parts += [f"{counts.outdated} older than the same annotator's answer"] if counts.outdated else []
    skipped = (
        (counts.skipped, NO_ANSWER),
        (counts.review_rejected, REVIEW_REJECTED),
        (counts.ground_truth, GROUND_TRUTH),
    )
    parts += [f"{count} {reason}" for count, reason in skipped if count]
    return ", ".join(parts)
