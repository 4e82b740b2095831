"""A project whose `prefect.yaml` has entry points of an earlier version is told their new names."""

import importlib

import pytest

from flows.orchestration.deployment import deploy
from flows.project.prefect_yaml import RENAMED_ENTRYPOINTS, describe_renamed_entrypoints
from hfi_core.errors import UserError

EARLIER = """
deployments:
  - {name: mine, entrypoint: flows.tending.tend, work_pool: {name: pool}}
  - {name: other, entrypoint: flows.safeguard.safeguard, work_pool: {name: pool}}
"""


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    """A folder with the `prefect.yaml` of an earlier version."""
    (tmp_path / "prefect.yaml").write_text(EARLIER)
    monkeypatch.chdir(tmp_path)


def test_each_renamed_entry_point_is_named_with_its_new_name(earlier):
    (line,) = describe_renamed_entrypoints()
    assert "'mine'" in line and "flows.tending.tend" in line and line.endswith("flows.maintenance.tend")


def test_deploy_refuses_them_before_it_asks_for_a_server(earlier, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(UserError, match="flows.maintenance.tend"):
        deploy()


def test_without_the_file_there_is_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert describe_renamed_entrypoints() == []


@pytest.mark.parametrize("present", RENAMED_ENTRYPOINTS.values())
def test_the_new_names_are_there(present):
    module, name = present.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))
