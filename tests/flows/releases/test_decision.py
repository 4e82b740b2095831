"""What follows from the registry's state, as a table: alias, records, tags and gates in; what a pass writes out."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.releases.champion import PREFIX, Promotion, RegistryState, find_previous_champion
from flows.releases.decision import Decision, Inspection, decide

PASSED = Inspection(Path("release"))
FAILED = Inspection(Path("release"), failed_gates=("flagged@broad: fail",))
DAMAGED = Inspection(damage="the files are not those that were registered")


def record(version: str, number: int, **changes) -> Promotion:
    """Return the record of a promotion that Ada approved."""
    base = Promotion(
        version, number, at="2024-01-01T00:00:00+00:00", by="Ada", published="s3://b/1", override=None, line=()
    )
    return replace(base, **changes)


def state(alias: str | None, *records: Promotion, last: int | None = None, **tags: dict[str, str]) -> RegistryState:
    """Return a registry with versions 1, 2 and 3 whose last decision is the last record; `v2={...}` are tags."""
    versions = {number: SimpleNamespace(version=number, tags=tags.get(f"v{number}", {})) for number in ("1", "2", "3")}
    ordered = sorted(records, key=lambda promotion: -promotion.number)
    return RegistryState(alias, versions, ordered, last if last is not None else len(records))


ONE, TWO = record("1", 1), record("2", 2, line=("1",))
NEW = Promotion("2", 2, at="", by="not told", published="", override=None, line=("1",))

CASES = {
    "no alias, and there never was one": (state(None), None, Decision("none")),
    "no alias, as decided": (state(None, ONE, last=2), None, Decision("none")),
    "the alias was taken away": (state(None, ONE, TWO), None, Decision("none", last_decision=3)),
    "the version was deleted": (state("9", ONE), None, Decision("moved", "9")),
    "champion, as recorded": (state("1", ONE), None, Decision("unchanged", "1", "1", published="s3://b/1")),
    "published again elsewhere": (
        state("1", ONE, v1={"published": "elsewhere"}), None, Decision("unchanged", "1", "1", published="elsewhere")
    ),
    "a pass died after the record": (
        state("2", ONE, TWO, last=1, v2={"approved_by": "Ada"}), None,
        Decision("unchanged", "2", "2", published="s3://b/1", last_decision=2, used_tags=("approved_by",)),
    ),
    "somebody says afterwards who it was": (
        state("1", record("1", 1, by="not told"), v1={"approved_by": " Grace "}), None,
        Decision("unchanged", "1", "1", published="s3://b/1", tags=(("promoted_by", "Grace"),),
                 record=record("1", 1, by="Grace"), used_tags=("approved_by",)),
    ),
    "who it was is on record already": (
        state("1", ONE, v1={"approved_by": "Grace"}), None,
        Decision("unchanged", "1", "1", published="s3://b/1", used_tags=("approved_by",)),
    ),
    "the first promotion": (
        state("1", v1={"approved_by": "Ada"}), PASSED,
        Decision("promoted", "1", "1", record=replace(NEW, version="1", number=1, by="Ada", line=()), last_decision=1,
                 used_tags=("approved_by",)),
    ),
    "the next promotion": (
        state("2", ONE), PASSED, Decision("promoted", "2", "2", record=NEW, last_decision=2)
    ),
    "a promotion after the champion was withdrawn": (
        state("2", ONE, last=2), PASSED,
        Decision("promoted", "2", "2", record=replace(NEW, number=3), last_decision=3),
    ),
    "it was refused before": (
        state("2", ONE, v2={"promotion_refused": "x"}), PASSED,
        Decision("promoted", "2", "2", record=NEW, last_decision=2, used_tags=("promotion_refused",)),
    ),
    "a gate fails": (state("2", ONE), FAILED, Decision("undone", "2", "1", FAILED.failed_gates)),
    "a gate fails, and there is no champion": (state("2"), FAILED, Decision("undone", "2", None, FAILED.failed_gates)),
    "a gate fails after the champion was withdrawn": (
        state("2", ONE, last=2), FAILED, Decision("undone", "2", None, FAILED.failed_gates)
    ),
    "a gate fails, and an override says why it may stand": (
        state("2", ONE, v2={"override": " urgent "}), FAILED,
        Decision("promoted", "2", "2", FAILED.failed_gates, record=replace(NEW, override="urgent"), last_decision=2),
    ),
    "an override that is blank": (
        state("2", ONE, v2={"override": " "}), FAILED, Decision("undone", "2", "1", FAILED.failed_gates)
    ),
    "an override that nothing needs": (
        state("2", ONE, v2={"override": "urgent"}), PASSED,
        Decision("promoted", "2", "2", record=NEW, last_decision=2),
    ),
    "no override helps against damage": (
        state("2", ONE, v2={"override": "urgent"}), DAMAGED, Decision("undone", "2", "1", (DAMAGED.damage,))
    ),
    "a return to a champion that an override had promoted": (
        state("1", record("1", 1, override="urgent"), TWO), PASSED,
        Decision("promoted", "1", "1", record=replace(NEW, version="1", number=3, override="urgent", line=()),
                 last_decision=3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_follows_from_the_state(case):
    before, inspection, wanted = CASES[case]
    assert (before.undecided is None) == (inspection is None), "only an undecided version is inspected"
    assert decide(before, inspection) == wanted


def test_deciding_again_on_what_was_written_changes_nothing():
    decision = decide(state("2", ONE), PASSED).with_publication("s3://b/2", "2024-02-02T00:00:00+00:00")
    assert decision.tags[0] == ("promoted_at", "2024-02-02T00:00:00+00:00")
    after = state("2", ONE, decision.record, last=decision.last_decision, v2=dict(decision.tags))
    assert decide(after) == Decision("unchanged", "2", "2", published="s3://b/2")


def test_a_record_is_a_numbered_tag_with_json():
    key, value = TWO.tag
    assert key == f"{PREFIX}0002"
    assert json.loads(value) == {
        "at": "2024-01-01T00:00:00+00:00", "by": "Ada", "published": "s3://b/1", "override": None, "line": ["1"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "previous"),
    [
        (state(None), None), (state("1", ONE), None), (state("2", ONE, TWO), "1"), (state("3", ONE, TWO), "2"),
        (state("1", ONE, TWO), None), (state(None, ONE, TWO, last=3), "2"), (state("9", ONE, TWO), "2"),
        (state("3", record("3", 1, line=("9", "1"))), "1"),
    ],
)  # fmt: skip
def test_a_roll_back_goes_to_the_previous_champion_that_exists(before, previous):
    assert find_previous_champion(before) == previous
