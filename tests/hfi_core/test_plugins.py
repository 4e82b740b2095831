"""Which judges there are."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from hfi_core import plugins
from hfi_core.errors import UserError
from hfi_core.judges import base
from hfi_core.params import JudgeParams, parse_params
from tests.support.projects import default_raw


class Foreign:
    """A judge of another package."""

    @classmethod
    def load(cls, params, compute):
        return cls()


@pytest.fixture
def with_foreign(monkeypatch):
    point = EntryPoint("foreign", f"{__name__}:Foreign", plugins.JUDGE_GROUP)
    thief = EntryPoint("embedded", f"{__name__}:Foreign", plugins.JUDGE_GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point, thief] if group == "hfi.judges" else [])


def _named(kind):
    params = parse_params(default_raw())
    return params.evaluate.judge.model_copy(update={"kind": kind}), params.compute


def test_another_package_adds_a_judge_by_an_entry_point(with_foreign):
    assert type(base.load_judge(*_named("foreign"))).__name__ == "Foreign"


def test_no_package_can_take_the_place_of_our_judges(with_foreign):
    assert plugins.find_judges()["embedded"] == plugins.JUDGES["embedded"]


def _judge_of_kind(kind):
    return default_raw()["evaluate"]["judge"] | {"kind": kind, "source": "x", "flagged": ["a"], "accepted": ["b"]}


def test_params_take_a_judge_of_another_package(with_foreign):
    assert JudgeParams.model_validate(_judge_of_kind("foreign")).kind == "foreign"


def test_params_refuse_an_unknown_judge_and_name_the_known_ones():
    raw = default_raw()
    raw["evaluate"]["judge"] = _judge_of_kind("oracle")
    with pytest.raises(
        UserError, match=r"evaluate\.judge\.kind: there is no judge of this name; there are classifier, clip, embedded"
    ):
        parse_params(raw)


@pytest.mark.integration
def test_asking_which_judges_there_are_costs_neither_torch_nor_numpy():
    code = "import sys; from hfi_core.plugins import find_judges; find_judges(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "hfi_core.plugins" in modules
    assert not {"torch", "numpy"} & set(modules)
