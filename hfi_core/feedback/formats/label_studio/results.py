"""Parse the results of Label Studio's controls (Choices, Rating, Pairwise, Ranker) to fields of the feedback format.

A control's value is `{"choices": [...]}`, `{"rating": 4}`, `{"selected": "left"}` or `{"ranker": {bucket: [ids]}}`.
"""

import re
from collections.abc import Mapping
from typing import Any

from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.row import ReadOptions

JUDGING_KEYS = ("choices", "rating", "selected", "ranker")
"""Keys of a value that holds a judgement."""

ANSWER, RANK, NOTE = "answer", "rank", "note"
"""Names of the controls in the tasks that we write."""

DOES_NOT_APPLY = "does_not_apply"
_RANK = re.compile(r"^rank_(\d{1,3})$")
_UNPLACED = "_"
"""Name under which Label Studio keeps items that were moved into no bucket."""

_PICTURE_KEYS = ("picture", "image")
_PAIRS = (("left", "right"), ("image1", "image2"), ("picture1", "picture2"), ("image_left", "image_right"))


def parse_result(value: Mapping[str, Any], data: Mapping[str, Any], options: ReadOptions) -> dict[str, Any]:
    """Parse a control's value to fields, with pictures as the task names them. Raises ValueError with the reason."""
    if "choices" in value:
        return {"kind": "binary", "answer": _parse_choice(value["choices"])} | parse_picture(data, options)
    if "rating" in value:
        return {"kind": "binary", "rating": value["rating"]} | parse_picture(data, options)
    if "selected" in value:
        return {"kind": "ranking", "groups": _parse_pair(value["selected"], data, options)}
    groups, not_applicable = _parse_ranker(value["ranker"], options)
    names = _pictures_by_item(data)

    def named(ids: list[Any]) -> list[Any]:
        return [names.get(item, item) if isinstance(item, str) else item for item in ids]

    return {"kind": "ranking", "groups": [named(group) for group in groups], "not_applicable": named(not_applicable)}


def parse_picture(data: Mapping[str, Any], options: ReadOptions) -> dict[str, Any]:
    """Parse the picture that a task's data is about. Raises ValueError if the data names none."""
    keys = (options.columns["picture"],) if "picture" in options.columns else _PICTURE_KEYS
    fields = {"picture": next((data[key] for key in keys if isinstance(data.get(key), str)), None)}
    digest = data.get(options.columns.get("sha256", "sha256"))
    if isinstance(digest, str):
        fields["sha256"] = digest
    if fields["picture"] is None:
        del fields["picture"]
        if "sha256" not in fields:
            raise ValueError(
                f"the task's data names no picture; it has the keys {format_value(sorted(map(str, data)))}: "
                "name the right one with --column picture=KEY"
            )
    return fields


def parse_concept(data: Mapping[str, Any], options: ReadOptions) -> dict[str, str]:
    """Parse the concept, if the task's data names one."""
    concept = data.get(options.columns.get("concept", "concept"))
    return {"concept": concept} if isinstance(concept, str) else {}


def make_ranker_value(groups: list[list[str]], not_applicable: list[str]) -> dict[str, Any]:
    """Make the value of our Ranker from a ranking: a bucket per rank, ties in one bucket."""
    buckets = {f"rank_{number}": group for number, group in enumerate(groups, start=1)}
    return {"ranker": buckets | ({DOES_NOT_APPLY: not_applicable} if not_applicable else {})}


def _parse_choice(choices: Any) -> Any:
    if isinstance(choices, list) and len(choices) == 1:
        return choices[0]
    if isinstance(choices, str):
        return choices
    raise ValueError(f"{format_value(choices)} is not a single choice: each picture has one answer")


def _parse_pair(selected: Any, data: Mapping[str, Any], options: ReadOptions) -> list[list[Any]]:
    if "left" in options.columns or "right" in options.columns:
        keys = (options.columns.get("left", "left"), options.columns.get("right", "right"))
    else:
        keys = next((pair for pair in _PAIRS if all(key in data for key in pair)), _PAIRS[0])
    if not all(isinstance(data.get(key), str) for key in keys):
        raise ValueError("the task's data does not name two pictures: use --column left=KEY --column right=KEY")
    left, right = (data[key] for key in keys)
    orders = {"left": [[left], [right]], "right": [[right], [left]], "equal": [[left, right]]}
    if not isinstance(selected, str) or selected not in orders:
        raise ValueError(f"{format_value(selected)} is selected, which is not left, right or equal")
    return orders[selected]


def _parse_ranker(ranker: Any, options: ReadOptions) -> tuple[list[list[Any]], list[Any]]:
    if isinstance(ranker, list):
        return [[item] for item in ranker], []
    if not isinstance(ranker, Mapping) or not all(isinstance(ids, list) for ids in ranker.values()):
        raise ValueError(f"the ranking {format_value(ranker)} is not a mapping of buckets to lists")
    buckets = {str(name): ids for name, ids in ranker.items() if name != _UNPLACED}
    if options.buckets:
        groups = [buckets[name] for name in options.buckets if buckets.get(name)]
        rest = [item for name, ids in buckets.items() if name not in options.buckets for item in ids]
        return groups, rest
    ranks = sorted((int(match[1]), name) for name in buckets if (match := _RANK.match(name)))
    others = [name for name in buckets if not _RANK.match(name) and name != DOES_NOT_APPLY]
    if others and (ranks or len(buckets) > 1):
        raise ValueError(
            f"the order of the buckets {format_value(others)} is unknown; give it with --buckets, strongest first"
        )
    if others:  # a Ranker without buckets: its only list is the order
        return [[item] for item in buckets[others[0]]], []
    return [buckets[name] for _, name in ranks if buckets[name]], buckets.get(DOES_NOT_APPLY, [])


def _pictures_by_item(data: Mapping[str, Any]) -> dict[str, str]:
    """Return picture names by the ids that the task's lists give them."""
    fields = {}
    for value in data.values():
        for item in value if isinstance(value, list) else ():
            if isinstance(item, Mapping) and isinstance(item.get("id"), str):
                name = next((item[key] for key in _PICTURE_KEYS if isinstance(item.get(key), str)), None)
                if name:
                    fields[item["id"]] = name
    return fields
