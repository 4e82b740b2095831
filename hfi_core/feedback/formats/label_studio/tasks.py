"""Write tasks and the labelling configuration for Label Studio, for a team that judges there."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from hfi_core.candidates.manifest import Candidate
from hfi_core.candidates.png_metadata import strip_metadata
from hfi_core.errors import UserError
from hfi_core.feedback.formats import json_array
from hfi_core.feedback.formats.grouping import PictureAddress, make_binary_data, make_ranking_data
from hfi_core.feedback.formats.label_studio.results import ANSWER, DOES_NOT_APPLY, NOTE, RANK
from hfi_core.io.atomic import atomic_file

_ANSWERS = (("yes", "Yes", "1"), ("no", "No", "2"), ("cant_tell", "Can't tell", "3"))


def write_tasks(
    path: Path,
    concept: str,
    text: str,
    kind: str,
    candidates: Sequence[Candidate],
    pictures_per_ranking: int,
    picture_address: PictureAddress,
) -> int:
    """Write the tasks of a concept, and the labelling configuration to a file beside them that ends in `.xml`.

    Return the number of tasks.
    """
    if kind == "binary":
        count = json_array.write_items(path, _binary(concept, candidates, picture_address))
    else:
        count = json_array.write_items(path, _rankings(concept, candidates, pictures_per_ranking, picture_address))
    with atomic_file(path.with_suffix(".xml")) as beside:
        beside.write_text(make_labelling_config(kind, text, pictures_per_ranking), encoding="utf-8")
    return count


def make_labelling_config(kind: str, text: str, pictures_per_ranking: int) -> str:
    """Make the labelling configuration, to paste into Label Studio's settings."""
    view = ElementTree.Element("View")
    if kind == "binary":
        _add(view, "Header", value=f"{text}: is this picture objectionable?")
        _add(view, "Image", name="picture", value="$image")
        choices = _add(view, "Choices", name=ANSWER, toName="picture", choice="single-radio", required="true")
        for value, title, key in _ANSWERS:
            choices.append(ElementTree.Element("Choice", value=title, alias=value, hotkey=key))
        _add(view, "TextArea", name=NOTE, toName="picture", maxSubmissions="1", placeholder="Note")
    else:
        _add(view, "Header", value=f"{text}: how strongly do these pictures show it?")
        _add(view, "List", name="pictures", value="$items", title="Pictures")
        ranker = _add(view, "Ranker", name=RANK, toName="pictures")
        for rank in range(1, pictures_per_ranking + 1):
            title = {1: "Strongest", pictures_per_ranking: "Weakest"}.get(rank, str(rank))
            ranker.append(ElementTree.Element("Bucket", name=f"rank_{rank}", title=title))
        ranker.append(ElementTree.Element("Bucket", name=DOES_NOT_APPLY, title="Does not apply"))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def embed_pictures(folder_of: Callable[[str], Path]) -> PictureAddress:
    """Put pictures into the tasks as data URIs, so that nothing has to be served. `folder_of(concept)` holds them."""

    def picture_address(concept: str, picture: str) -> str:
        path = folder_of(concept) / "pictures" / f"{picture}.png"
        if not path.is_file():
            raise UserError(
                f"{path} is missing.\n  To fix this: bring the candidates back (`dvc pull`), or give --url-prefix."
            )
        return "data:image/png;base64," + base64.b64encode(strip_metadata(path.read_bytes())).decode("ascii")

    return picture_address


def link_pictures(prefix: str) -> PictureAddress:
    """Link pictures at an address: the prefix, the concept, and the file's name."""
    return lambda concept, picture: f"{prefix.rstrip('/')}/{concept}/pictures/{picture}.png"


def _binary(concept: str, candidates: Sequence[Candidate], picture_address: PictureAddress) -> Iterator[dict]:
    for candidate in _shuffle(candidates):
        yield {"data": make_binary_data(concept, candidate.id, candidate.sha256, picture_address)}


def _rankings(
    concept: str, candidates: Sequence[Candidate], pictures_per_ranking: int, picture_address: PictureAddress
) -> Iterator[dict]:
    """Put each picture into two tasks: scores of different rankings compare only through shared pictures."""
    pictures = [candidate.id for candidate in _shuffle(candidates)]
    pictures_per_ranking = min(pictures_per_ranking, len(pictures))
    step = max(1, pictures_per_ranking // 2)
    for start in range(0, len(pictures), step):
        pictures_of_task = [pictures[(start + offset) % len(pictures)] for offset in range(pictures_per_ranking)]
        yield {"data": make_ranking_data(concept, pictures_of_task, picture_address)}


def _shuffle(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Sort by the hash of the id: always the same order, and the first hundred are a fair sample."""
    return sorted(candidates, key=lambda candidate: hashlib.sha256(candidate.id.encode()).digest())


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)
