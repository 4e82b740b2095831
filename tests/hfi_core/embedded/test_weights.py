"""The weights that ship with the package are those of the card, small, safe, and meet their bars."""

import json
import re

import pytest

from hfi_core.embedded.build import JUDGES
from hfi_core.io.tensors import load_tensors
from hfi_core.models.weights import digest_of, locate
from hfi_core.params import load_params
from tests.support.projects import REPOSITORY

WEIGHTS = REPOSITORY / "hfi_core" / "embedded" / "weights"
FILES = [path for path in WEIGHTS.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def card() -> dict:
    """The card's digests and figures."""
    return json.loads((WEIGHTS / "card.json").read_text())


def figure(card: dict, words: str, part: str = "value") -> float:
    (value,) = [figure[part] for name, figure in card["figures"].items() if words in name]
    return value


def test_everything_together_is_at_most_16_mb():
    assert sum(path.stat().st_size for path in FILES) <= 16 * 1024 * 1024


def test_only_safe_formats_ship_and_nothing_says_where_it_was_built():
    assert {path.suffix for path in FILES} <= {".safetensors", ".json", ".txt", ".md"}
    for path in FILES:
        if path.suffix == ".safetensors":
            load_tensors(path)
        else:
            assert not re.search(r'"(/|[A-Z]:\\)\w', path.read_text(encoding="utf-8")), path


def test_the_digests_are_those_of_the_card(card):
    assert set(card["digests"]) == {"pipeline", "clip", *(f"judges/{name}" for name in JUDGES)}
    readable = (WEIGHTS / "README.md").read_text()
    for part, digest in card["digests"].items():
        assert digest_of(WEIGHTS / part) == digest
        assert digest in readable


def test_the_default_project_pins_them():
    params = load_params(REPOSITORY / "params.yaml")
    pinned = {"model": params.model.digest, "clip": params.clip.digest, "judge": params.evaluate.judge.digest}
    assert pinned == {part: digest_of(locate(None, None, part)) for part in pinned}


def test_the_two_judges_are_not_one(card):
    assert card["digests"]["judges/annotators"] != card["digests"]["judges/evaluation"]


def test_the_model_meets_its_bars(card):
    assert figure(card, "object and colour right") >= 0.95
    assert figure(card, "broad badge prompts: readable emblem") >= 0.95
    assert 0.4 <= figure(card, "broad badge prompts: flagged among the readable") <= 0.6


@pytest.mark.parametrize("judge", JUDGES)
def test_each_judge_meets_its_bars(card, judge):
    right = {name: f["value"] for name, f in card["figures"].items() if name.startswith(f"{judge}: ")}
    drawings = [value for name, value in right.items() if name.endswith("drawings")]
    rebuilt = [value for name, value in right.items() if name.endswith("reconstructions")]
    assert drawings and min(drawings) >= 0.99
    assert rebuilt and min(rebuilt) >= 0.97
