"""The shipped weights match their card, are small and safe, and are accurate enough."""

import json
import re

import pytest

from hfi_core.embedded.build import JUDGES
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.scenes import BADGES
from hfi_core.io.tensors import load_tensors
from hfi_core.models.weights import digest_of_weights, locate_weights
from hfi_core.params import load_params
from tests.support.projects import REPOSITORY

WEIGHTS = REPOSITORY / "hfi_core" / "embedded" / "weights"
FILES = [path for path in WEIGHTS.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def card() -> dict:
    """The card's digests and figures."""
    return json.loads((WEIGHTS / "card.json").read_text())


LEAST = {
    "objects: object and colour as asked": 0.99,
    "precise prompts: emblem and colour as asked": 0.97,
    "emblem without the concept's word: emblem and colour as asked": 0.97,
    "styles: object, colour and style as asked": 0.95,
    "broad prompts: readable emblem": 0.98,
}
"""The smallest value of each figure with which the model can carry the claims that are made on it."""


def test_everything_together_is_at_most_16_mb():
    assert sum(path.stat().st_size for path in FILES) <= 16 * 1024 * 1024


def test_only_safe_formats_ship_and_no_file_contains_a_path_of_the_build():
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
        assert digest_of_weights(WEIGHTS / part) == digest
        assert digest in readable


def test_the_default_project_pins_them():
    params = load_params(REPOSITORY / "params.yaml")
    pinned = {"model": params.model.digest, "clip": params.clip.digest, "judge": params.evaluate.judge.digest}
    (crowd,) = params.feedback.simulated.values()
    pinned["annotators"] = crowd.digest
    assert pinned == {part: digest_of_weights(locate_weights(None, None, part)) for part in pinned}


def test_the_two_judges_read_badges_and_differ(card):
    assert all(load_judge_network(WEIGHTS / "judges" / name).world is BADGES for name in JUDGES)
    assert card["digests"]["judges/annotators"] != card["digests"]["judges/evaluation"]


@pytest.mark.parametrize("name", LEAST)
def test_the_model_draws_what_is_asked(card, name):
    assert card["figures"][name]["value"] >= LEAST[name]


def test_broad_prompts_show_every_emblem_and_half_of_the_time_a_flagged_one(card):
    assert 0.45 <= card["figures"]["broad prompts: flagged among the readable"]["value"] <= 0.58
    for emblem in BADGES.emblems:
        assert card["figures"][f"broad prompts: {emblem} among the readable"]["low"] > 0, emblem


@pytest.mark.parametrize("judge", JUDGES)
def test_each_judge_is_accurate_enough(card, judge):
    right = {name: f["value"] for name, f in card["figures"].items() if name.startswith(f"{judge}: ")}
    drawings = [value for name, value in right.items() if name.endswith("drawings")]
    rebuilt = [value for name, value in right.items() if name.endswith("reconstructions")]
    assert drawings and min(drawings) >= 0.99
    assert rebuilt and min(rebuilt) >= 0.97
