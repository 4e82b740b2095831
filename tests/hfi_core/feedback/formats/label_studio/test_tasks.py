"""Tasks with which a team judges in Label Studio, and what it brings back."""

import base64
import json
from xml.etree import ElementTree

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.formats.label_studio.tasks import (
    embed_pictures,
    link_pictures,
    make_labelling_config,
    write_tasks,
)
from tests.support.format_imports import BADGES, STYLES, bring, stored
from tests.support.judging import draw_candidates

LINKS = link_pictures("https://pictures.example/")


def answered(path, results) -> None:
    """Write the tasks back as an export, each answered by one person."""
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        task["annotations"] = [
            {"completed_by": {"email": "ana@example.org"}, "result": [results(number, task["data"])]}
        ]
    path.write_text(json.dumps(tasks))


def test_binary_tasks_come_back_as_judgements(tmp_path):
    path = tmp_path / "tasks.json"
    assert write_tasks(path, "badge", "badge", "binary", BADGES, 5, LINKS) == len(BADGES)
    view = ElementTree.fromstring(path.with_suffix(".xml").read_text())
    choices = view.find("Choices")
    aliases = [choice.get("alias") for choice in choices]
    assert aliases == ["yes", "no", "cant_tell"] and view.find("Image").get("value") == "$image"
    answered(
        path,
        lambda number, data: {
            "from_name": choices.get("name"), "to_name": "picture", "type": "choices",
            "value": {"choices": [aliases[number % 3]]},
        },
    )  # fmt: skip
    assert bring(path, tmp_path).new == len(BADGES)
    assert {row.picture for row in stored(tmp_path)} == {badge.id for badge in BADGES}


def test_rankings_overlap_and_come_back_as_judgements(tmp_path):
    path = tmp_path / "tasks.json"
    count = write_tasks(path, "klara", "style of klara", "ranking", STYLES, 4, LINKS)
    tasks = [{item["id"] for item in task["data"]["items"]} for task in json.loads(path.read_text())]
    assert len(tasks) == count and set.union(*tasks) == {style.id for style in STYLES}
    assert all(one & other for one, other in zip(tasks, tasks[1:], strict=False))
    ranker = ElementTree.fromstring(path.with_suffix(".xml").read_text()).find("Ranker")
    buckets = [bucket.get("name") for bucket in ranker]
    assert buckets == ["rank_1", "rank_2", "rank_3", "rank_4", "does_not_apply"]

    def result(number, data):
        first, second, *rest = (item["id"] for item in data["items"])
        value = {"rank_1": [second], "rank_2": [first], "does_not_apply": rest}
        return {"from_name": ranker.get("name"), "to_name": "pictures", "type": "ranker", "value": {"ranker": value}}

    answered(path, result)
    assert bring(path, tmp_path).new == count
    assert all(len(row.groups) == 2 and len(row.not_applicable) == 2 for row in stored(tmp_path))


def test_the_pictures_lie_inside_or_where_it_is_said(tmp_path):
    rows = draw_candidates(tmp_path / "badge", 2)
    path = tmp_path / "tasks.json"
    write_tasks(path, "badge", "badge", "binary", rows, 5, embed_pictures(lambda concept: tmp_path / concept))
    for task in json.loads(path.read_text()):
        data = task["data"]
        picture = base64.b64decode(data["image"].removeprefix("data:image/png;base64,"))
        assert picture == (tmp_path / "badge" / "pictures" / f"{data['picture']}.png").read_bytes()
    write_tasks(path, "badge", "badge", "binary", rows, 5, LINKS)
    image = json.loads(path.read_text())[0]["data"]["image"]
    assert image.startswith("https://pictures.example/badge/pictures/badge-0")


def test_a_picture_that_is_gone_is_named(tmp_path):
    rows = draw_candidates(tmp_path / "badge", 2)
    (tmp_path / "badge" / read_manifest(tmp_path / "badge")[0].file).unlink()
    with pytest.raises(UserError, match="dvc pull"):
        write_tasks(
            tmp_path / "t.json", "badge", "b", "binary", rows, 5, embed_pictures(lambda concept: tmp_path / concept)
        )
    assert not (tmp_path / "t.json").exists()


def test_markup_in_a_concept_s_text_is_escaped():
    words = '<script>alert("x")</script> & co'
    assert (
        ElementTree.fromstring(make_labelling_config("binary", words, 5)).find("Header").get("value").startswith(words)
    )
