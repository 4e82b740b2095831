"""What Label Studio's controls say: Choices, Rating, Pairwise and Ranker, as fields of the feedback format.

A control's value is `{"choices": [...]}`, `{"rating": 4}`, `{"selected": "left"}` or `{"ranker": {bucket: [ids]}}`.
"""

import re
from collections.abc import Mapping
from typing import Any

from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.row import ReadOptions

JUDGING_KEYS = ("choices", "rating", "selected", "ranker")
"""Keys of a value that judges."""

ANSWER, RANK, NOTE = "answer", "rank", "note"
"""Names of the controls in the tasks that we write."""

DOES_NOT_APPLY = "does_not_apply"
_RANK = re.compile(r"^rank_(\d{1,3})$")
_UNPLACED = "_"
"""Where Label Studio keeps what was moved into no bucket."""

_PICTURE_KEYS = ("picture", "image")
_PAIRS = (("left", "right"), ("image1", "image2"), ("picture1", "picture2"), ("image_left", "image_right"))


def parse_result(value: Mapping[str, Any], data: Mapping[str, Any], reading: ReadOptions) -> dict[str, Any]:
    """The fields that a control's value gives, with pictures as the task names them; ValueError with the reason."""
    if "choices" in value:
        return {"kind": "binary", "answer": _choice(value["choices"])} | parse_picture(data, reading)
    if "rating" in value:
        return {"kind": "binary", "rating": value["rating"]} | parse_picture(data, reading)
    if "selected" in value:
        return {"kind": "ranking", "groups": _pair(value["selected"], data, reading)}
    groups, not_applicable = _ranked(value["ranker"], reading)
    names = _items(data)

    def named(ids: list[Any]) -> list[Any]:
        return [names.get(one, one) if isinstance(one, str) else one for one in ids]

    return {"kind": "ranking", "groups": [named(group) for group in groups], "not_applicable": named(not_applicable)}


def parse_picture(data: Mapping[str, Any], reading: ReadOptions) -> dict[str, Any]:
    """The picture that a task's data is about."""
    keys = (reading.columns["picture"],) if "picture" in reading.columns else _PICTURE_KEYS
    found = {"picture": next((data[key] for key in keys if isinstance(data.get(key), str)), None)}
    digest = data.get(reading.columns.get("sha256", "sha256"))
    if isinstance(digest, str):
        found["sha256"] = digest
    if found["picture"] is None:
        del found["picture"]
        if "sha256" not in found:
            raise ValueError(
                f"the task's data names no picture; it has the keys {format_value(sorted(map(str, data)))}: "
                "say which with --column picture=KEY"
            )
    return found


def parse_concept(data: Mapping[str, Any], reading: ReadOptions) -> dict[str, str]:
    """The concept, where the task's data names one."""
    concept = data.get(reading.columns.get("concept", "concept"))
    return {"concept": concept} if isinstance(concept, str) else {}


def make_ranker_value(groups: list[list[str]], not_applicable: list[str]) -> dict[str, Any]:
    """A ranking as the value of our Ranker: a bucket a rank, ties in one bucket."""
    buckets = {f"rank_{number}": group for number, group in enumerate(groups, start=1)}
    return {"ranker": buckets | ({DOES_NOT_APPLY: not_applicable} if not_applicable else {})}


def _choice(choices: Any) -> Any:
    if isinstance(choices, list) and len(choices) == 1:
        return choices[0]
    if isinstance(choices, str):
        return choices
    raise ValueError(f"{format_value(choices)} is not one choice: one answer a picture is read")


def _pair(selected: Any, data: Mapping[str, Any], reading: ReadOptions) -> list[list[Any]]:
    if "left" in reading.columns or "right" in reading.columns:
        keys = (reading.columns.get("left", "left"), reading.columns.get("right", "right"))
    else:
        keys = next((pair for pair in _PAIRS if all(key in data for key in pair)), _PAIRS[0])
    if not all(isinstance(data.get(key), str) for key in keys):
        raise ValueError("the task's data names no two pictures: say which with --column left=KEY --column right=KEY")
    left, right = (data[key] for key in keys)
    orders = {"left": [[left], [right]], "right": [[right], [left]], "equal": [[left, right]]}
    if not isinstance(selected, str) or selected not in orders:
        raise ValueError(f"{format_value(selected)} is selected, neither left nor right")
    return orders[selected]


def _ranked(ranker: Any, reading: ReadOptions) -> tuple[list[list[Any]], list[Any]]:
    if isinstance(ranker, list):
        return [[one] for one in ranker], []
    if not isinstance(ranker, Mapping) or not all(isinstance(ids, list) for ids in ranker.values()):
        raise ValueError(f"the ranking {format_value(ranker)} is no mapping of buckets to lists")
    buckets = {str(name): ids for name, ids in ranker.items() if name != _UNPLACED}
    if reading.buckets:
        groups = [buckets[name] for name in reading.buckets if buckets.get(name)]
        rest = [one for name, ids in buckets.items() if name not in reading.buckets for one in ids]
        return groups, rest
    ranks = sorted((int(match[1]), name) for name in buckets if (match := _RANK.match(name)))
    others = [name for name in buckets if not _RANK.match(name) and name != DOES_NOT_APPLY]
    if others and (ranks or len(buckets) > 1):
        raise ValueError(
            f"which of the buckets {format_value(others)} is stronger? Say it with --buckets, strongest first"
        )
    if others:  # a Ranker without buckets: its one list is the order
        return [[one] for one in buckets[others[0]]], []
    return [buckets[name] for _, name in ranks if buckets[name]], buckets.get(DOES_NOT_APPLY, [])


def _items(data: Mapping[str, Any]) -> dict[str, str]:
    """Pictures by the ids that the task's lists give them, where those are not the pictures' own names."""
    found = {}
    for value in data.values():
        for item in value if isinstance(value, list) else ():
            if isinstance(item, Mapping) and isinstance(item.get("id"), str):
                name = next((item[key] for key in _PICTURE_KEYS if isinstance(item.get(key), str)), None)
                if name:
                    found[item["id"]] = name
    return found
