"""What the tests of the exchange share: a few candidates, a project to hold rows against, and a store."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.formats.annotators import open_pseudonym_map
from hfi_core.feedback.formats.convert import ImportContext
from hfi_core.feedback.formats.importer import import_file, prepare_import
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.row import ReadOptions
from hfi_core.feedback.formats.staging import ImportCounts
from hfi_core.feedback.store.pseudonyms import Pseudonyms
from tests.support.judging import candidate
from tests.support.stores import store_in

BADGES = [candidate(f"badge-{number}", f"{number:064x}") for number in range(1, 7)]
STYLES = [candidate(f"klara-{number}", f"{number + 100:064x}") for number in range(1, 7)]
KINDS = {"badge": "binary", "klara": "ranking"}


@contextmanager
def project(folder: Path, badges: Sequence[Candidate] = BADGES) -> Iterator[ImportContext]:
    """A project with binary badges and ranked styles, whose list of people lies in a folder."""
    with open_pseudonym_map(Pseudonyms(folder / "people.json", {})) as names:
        yield ImportContext(PictureIndex({"badge": badges, "klara": STYLES}), KINDS, names)


def bring(
    path: Path, folder: Path, *, badges: Sequence[Candidate] = BADGES, format: str | None = None, **options
) -> ImportCounts:
    """Import a file into the store in a folder."""
    with project(folder, badges) as held, store_in(folder) as store:
        return import_file(path, held, store, format=format, options=ReadOptions(**options))[1]


def complaints(path: Path, folder: Path, *, format: str | None = None, **options) -> list[tuple[str, str]]:
    """Where and why rows of a file are rejected."""
    with (
        project(folder) as held,
        store_in(folder) as store,
        prepare_import(path, held, store, format=format, options=ReadOptions(**options)) as found,
    ):
        return [(row.location, row.reason) for row in found.staging.rejected()]


def stored(folder: Path) -> list:
    """Every judgement in the store in a folder."""
    with store_in(folder) as store:
        return list(store.read_judgements())
