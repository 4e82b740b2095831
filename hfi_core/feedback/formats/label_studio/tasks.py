"""Tasks for Label Studio, with the labelling configuration, so that a team can judge there and bring it back."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.formats import json_array
from hfi_core.feedback.formats.grouping import PictureAddress, make_binary_data, make_ranking_data
from hfi_core.feedback.formats.label_studio.results import ANSWER, DOES_NOT_APPLY, NOTE, RANK
from hfi_core.io.atomic import atomic_file

_ANSWERS = (("yes", "Yes", "1"), ("no", "No", "2"), ("cant_tell", "Can't tell", "3"))


def write_tasks(
    path: Path, concept: str, text: str, kind: str, candidates: Sequence[Candidate], ranked: int, place: PictureAddress
) -> int:
    """Write the tasks of a concept, and beside them, ending in `.xml`, the labelling configuration; how many tasks.

    `ranked` is how many pictures a ranking shows.
    """
    if kind == "binary":
        count = json_array.write_items(path, _binary(concept, candidates, place))
    else:
        count = json_array.write_items(path, _rankings(concept, candidates, ranked, place))
    with atomic_file(path.with_suffix(".xml")) as beside:
        beside.write_text(make_labelling_config(kind, text, ranked), encoding="utf-8")
    return count


def make_labelling_config(kind: str, text: str, ranked: int) -> str:
    """The labelling configuration: what to paste into Label Studio's settings."""
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
        for rank in range(1, ranked + 1):
            title = {1: "Strongest", ranked: "Weakest"}.get(rank, str(rank))
            ranker.append(ElementTree.Element("Bucket", name=f"rank_{rank}", title=title))
        ranker.append(ElementTree.Element("Bucket", name=DOES_NOT_APPLY, title="Does not apply"))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def embed_pictures(folder_of: Callable[[str], Path]) -> PictureAddress:
    """Pictures inside the tasks themselves, as data URIs: nothing has to be served. `folder_of(concept)` holds them."""

    def place(concept: str, picture: str) -> str:
        path = folder_of(concept) / "pictures" / f"{picture}.png"
        if not path.is_file():
            raise UserError(f"{path} is missing; bring the candidates back (`dvc pull`), or give --url-prefix.")
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")

    return place


def link_pictures(prefix: str) -> PictureAddress:
    """Pictures at an address: the prefix, the concept, and the file's name."""
    return lambda concept, picture: f"{prefix.rstrip('/')}/{concept}/pictures/{picture}.png"


def _binary(concept: str, candidates: Sequence[Candidate], place: PictureAddress) -> Iterator[dict]:
    for candidate in _mixed(candidates):
        yield {"data": make_binary_data(concept, candidate.id, candidate.sha256, place)}


def _rankings(concept: str, candidates: Sequence[Candidate], ranked: int, place: PictureAddress) -> Iterator[dict]:
    """Each picture stands in two tasks: scores reach across rankings only through pictures that they share."""
    pictures = [candidate.id for candidate in _mixed(candidates)]
    ranked = min(ranked, len(pictures))
    step = max(1, ranked // 2)
    for start in range(0, len(pictures), step):
        shown = [pictures[(start + offset) % len(pictures)] for offset in range(ranked)]
        yield {"data": make_ranking_data(concept, shown, place)}


def _mixed(candidates: Sequence[Candidate]) -> list[Candidate]:
    """In an order that is always the same and follows nothing, so that the first hundred are a fair sample."""
    return sorted(candidates, key=lambda candidate: hashlib.sha256(candidate.id.encode()).digest())


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)
