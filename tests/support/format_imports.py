"""What the tests of the exchange share: a few candidates, a project to hold rows against, and a store."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.formats.annotators import names_of
from hfi_core.feedback.formats.convert import Project
from hfi_core.feedback.formats.importer import import_file, prepared
from hfi_core.feedback.formats.pictures import PictureIndex
from hfi_core.feedback.formats.row import Reading
from hfi_core.feedback.formats.staging import Counts
from hfi_core.feedback.store import Store, open_store
from hfi_core.feedback.store.pseudonyms import Pseudonyms
from tests.support.judging import candidate

BADGES = [candidate(f"badge-{number}", f"{number:064x}") for number in range(1, 7)]
STYLES = [candidate(f"klara-{number}", f"{number + 100:064x}") for number in range(1, 7)]
KINDS = {"badge": "binary", "klara": "ranking"}


@contextmanager
def project(folder: Path, badges: Sequence[Candidate] = BADGES) -> Iterator[Project]:
    """A project with binary badges and ranked styles, whose list of people lies in a folder."""
    with names_of(Pseudonyms(folder / "people.json", {})) as names:
        yield Project(PictureIndex({"badge": badges, "klara": STYLES}), KINDS, names)


def store_in(folder: Path) -> Store:
    """A store in a folder."""
    return open_store(f"sqlite:///{folder / 'feedback.db'}")


def bring(
    path: Path, folder: Path, *, badges: Sequence[Candidate] = BADGES, format: str | None = None, **reading
) -> Counts:
    """Import a file into the store in a folder."""
    with project(folder, badges) as held, store_in(folder) as store:
        return import_file(path, held, store, format=format, reading=Reading(**reading))[1]


def complaints(path: Path, folder: Path, *, format: str | None = None, **reading) -> list[tuple[str, str]]:
    """Where and why rows of a file are rejected."""
    with (
        project(folder) as held,
        store_in(folder) as store,
        prepared(path, held, store, format=format, reading=Reading(**reading)) as found,
    ):
        return [(one.where, one.reason) for one in found.staging.rejected()]


def stored(folder: Path) -> list:
    """Every judgement in the store in a folder."""
    with store_in(folder) as store:
        return list(store.judgements())
