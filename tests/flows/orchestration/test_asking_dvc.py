"""A run asks DVC once about the units of a stage, and again if somebody else has written `dvc.lock` since."""

from types import SimpleNamespace

import pytest

from flows import safeguard
from flows.execution.parallelism import ONE_PROCESS
from flows.orchestration import tasks
from flows.orchestration.plan import make_plan
from flows.tracking import runs
from flows.versioning.repo import find_changes
from hfi_core.errors import UserError


@pytest.fixture
def run(inside, monkeypatch):
    """Run the whole plan without Prefect. Return what DVC was asked about; `meanwhile` is called before each unit."""
    monkeypatch.setattr(runs, "record_unit", lambda *_: None)

    def start(meanwhile=lambda unit: None):
        asked = []

        def ask(*addresses):
            asked.append(addresses)
            return find_changes(*addresses)

        def task(unit, params, *_, **__):
            meanwhile(unit)
            tasks.run_and_commit(unit, params, None)
            return SimpleNamespace(result=lambda: None)

        monkeypatch.setattr(safeguard, "find_changes", ask)
        monkeypatch.setattr(safeguard, "stage_task", lambda *_: task)
        plan = make_plan()
        safeguard.Run(plan, ONE_PROCESS).bring_up_to_date(plan.units)
        return asked

    return start


def test_it_asks_once_about_the_units_of_a_stage_which_are_found_done_the_next_time(run, inside):
    units = [unit.address for unit in make_plan().units]
    asked = run()
    assert inside.ran() == units and [address for addresses in asked for address in addresses] == units
    assert ("distill@base", "distill@anchored") in asked
    inside.forget()
    assert run() == asked and inside.ran() == []


def test_what_another_process_has_done_meanwhile_is_not_done_again(run, inside):
    other = {unit.address: unit for unit in make_plan().units}["distill@anchored"]

    def meanwhile(unit):
        if unit.address == "distill@base":
            tasks.run_and_commit(other, inside.params, None)

    asked = run(meanwhile)
    assert inside.ran().count("distill@anchored") == 1
    assert asked.count(("distill@anchored",)) == 1


def test_a_stage_that_dvc_does_not_know_is_no_stage_that_is_up_to_date(inside):
    with pytest.raises(UserError, match=r"no stage evaluate@typo.*hfi params sync"):
        find_changes("generate@badge", "evaluate@typo")
