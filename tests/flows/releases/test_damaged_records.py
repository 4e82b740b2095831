"""What lies in MLflow is not what was registered or recorded: such a version is refused, and nothing stops."""

import pytest

from flows.releases.evaluation_record import EvaluationRecord
from flows.releases.promotion import promote
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import write_json
from hfi_core.pipeline import release as register
from tests.support.promoted import MODEL


def test_stored_files_that_are_not_the_release_are_never_published(registry):
    client, version = registry.client, registry.client.get_model_version(MODEL, "1")
    client.set_model_version_tag(MODEL, "1", "override", "no reason is enough for that")
    client.set_model_version_tag(MODEL, "1", "hfi.release", "0" * 64)
    registry.move("1")
    assert "not the release that was registered" in registry.reconcile().reasons[0]
    assert registry.champion is None and version and not (registry.project.folder / "published").exists()


def test_figures_that_were_changed_in_mlflow_pass_no_gate(registry):
    registry.client.set_model_version_tag(MODEL, "1", "hfi.evaluation", "0" * 64)
    registry.move("1")
    assert "not those that were registered" in registry.reconcile().reasons[0]


@pytest.mark.parametrize("value", ["{", "[]", "{}", '{"line": "12"}', '{"line": [1], "at": 1}', "[" * 4000])
def test_a_record_that_somebody_else_wrote_lets_nothing_pass(registry, value):
    promote(registry.params, "1")
    registry.client.set_model_version_tag(MODEL, "2", "promotion.0007", value)
    assert registry.reconcile().outcome == "unchanged", "it is nothing to the champion"
    registry.move("2")
    undone = registry.reconcile()
    assert (undone.outcome, registry.champion) == ("undone", "1")
    assert undone.reasons == ("its tag promotion.0007 is not a record of a promotion; delete the tag in MLflow",)
    registry.client.delete_model_version_tag(MODEL, "2", "promotion.0007")
    assert promote(registry.params, "2").outcome == "promoted"


@pytest.mark.parametrize("last", ["", "many", "9" * 4000])
def test_a_number_of_the_last_decision_that_is_none_stops_nothing(registry, last):
    registry.client.set_registered_model_tag(MODEL, "promotion.last", last)
    assert promote(registry.params, "1").outcome == "promoted"


def test_a_version_without_its_row_or_with_figures_of_another_form_is_refused(registry, monkeypatch):
    monkeypatch.setattr(
        "flows.releases.evaluation_record.read_record",
        lambda *_: EvaluationRecord({"rows": [{"row": "anchored"}]}, [], {}),
    )
    registry.move("1")
    assert registry.reconcile().reasons == ("its figures cannot be read (KeyError)",)
    registry.client.delete_model_version_tag(MODEL, "1", "hfi.row")
    registry.move("1")
    assert "no tag hfi.row" in registry.reconcile().reasons[0] and registry.champion is None


def test_a_list_of_digests_that_leads_out_of_the_release_is_refused(tmp_path):
    release, outside = tmp_path / "release", tmp_path / "params.yaml"
    release.mkdir()
    outside.write_text("seed: 0")
    digest = f"sha256:{sha256_of_file(outside)}"
    for name in ("../params.yaml", str(outside)):
        write_json(release / "digests.json", {"files": {name: digest}})
        with pytest.raises(UserError, match="which is not a file of the release"):
            register.require_whole(release)
