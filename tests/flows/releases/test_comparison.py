"""`hfi compare` where MLflow has lost what it compares."""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from flows.releases import comparison
from flows.releases.versions import Version
from hfi_core.errors import UserError


@pytest.mark.parametrize(
    "error", [OSError("No such artifact: /old/mlruns/1/abc/evaluation"), MlflowException("Run 'abc' not found")]
)
def test_lost_figures_are_one_message_that_names_the_version(project, monkeypatch, error):
    def lost(params, version):
        raise error

    client = SimpleNamespace(get_model_version=lambda name, number: None)
    monkeypatch.setattr(comparison, "registry_client", lambda params: client)
    monkeypatch.setattr(comparison, "find_release", lambda params, name: Version("emblems", name, (), {}, "abc"))
    monkeypatch.setattr(comparison, "read_record", lost)
    with pytest.raises(UserError, match=r"does not give the figures of emblems.*1: .*(No such artifact|not found)"):
        comparison.compare_versions(project.params, "1", "2", None)
