"""A person moves the alias `champion` in MLflow: gates, publication, record, and what is undone."""

import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.releases import promotion
from flows.releases.champion import read_promotions, read_registry, read_versions
from flows.releases.promotion import promote, reconcile_promotions, roll_back
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.pipeline import release as register
from tests.support.flow_fixtures import FakeProject
from tests.support.promoted import MODEL, forget_engines


def test_moving_the_alias_publishes_and_records_once(registry):
    registry.client.set_model_version_tag(MODEL, "1", "approved_by", "Ada")
    registry.move("1")
    first = registry.reconcile()
    assert (first.outcome, first.champion) == ("promoted", "1")
    assert Path(first.published, "digests.json").read_bytes()
    assert register.release_digest(Path(first.published)) == registry.tags("1")["hfi.release"]
    assert (registry.tags("1")["promoted_by"], registry.tags("1")["published"]) == ("Ada", first.published)
    before = registry.tags("1")
    assert registry.reconcile().outcome == "unchanged"
    assert registry.tags("1") == before


def _by(registry) -> list[str]:
    """Who promoted, by the record, the last one first."""
    return [record.by for record in read_promotions(read_versions(registry.client, MODEL).values())]


def test_who_approved_one_promotion_is_not_said_of_the_next(registry):
    promote(registry.params, "1", by="Ada")
    promote(registry.params, "2", by="Grace")
    registry.move("1")
    registry.reconcile()
    assert _by(registry) == ["not told", "Grace", "Ada"]
    assert "approved_by" not in registry.tags("1") | registry.tags("2")


def test_who_it_was_may_be_said_after_the_pass_and_counts_once(registry):
    registry.move("1")
    registry.reconcile()
    registry.client.set_model_version_tag(MODEL, "1", "approved_by", "Ada")
    registry.reconcile()
    assert (_by(registry), registry.tags("1")["promoted_by"]) == (["Ada"], "Ada")
    registry.client.set_model_version_tag(MODEL, "1", "approved_by", "Grace")
    registry.reconcile()
    assert _by(registry) == ["Ada"] and "approved_by" not in registry.tags("1")


def test_a_promotion_that_fails_its_gates_is_undone_and_says_why(registry):
    registry.move("3")
    assert registry.reconcile().champion is None
    assert registry.champion is None
    registry.move("1")
    registry.reconcile()
    registry.move("3")
    undone = registry.reconcile()
    assert (undone.outcome, undone.champion, registry.champion) == ("undone", "1", "1")
    assert "flagged@broad: fail: 0.3" in registry.tags("3")["promotion_refused"]
    assert registry.reconcile().outcome == "unchanged"


def test_an_override_lets_it_stand_and_is_recorded(registry):
    registry.client.set_model_version_tag(MODEL, "3", "override", "the judge is known to be wrong here")
    registry.move("3")
    assert registry.reconcile().outcome == "promoted"
    (record,) = read_promotions(read_versions(registry.client, MODEL).values())
    assert record.override == "the judge is known to be wrong here"
    assert "promotion_refused" not in registry.tags("3")


def test_a_return_to_a_champion_by_override_is_recorded_with_it(registry):
    promote(registry.params, "3", override="urgent")
    promote(registry.params, "1")
    registry.client.delete_model_version_tag(MODEL, "3", "override")
    assert promote(registry.params, "3").outcome == "promoted"
    recorded = read_promotions(read_versions(registry.client, MODEL).values())
    assert [(record.version, record.override) for record in recorded] == [("3", "urgent"), ("1", None), ("3", "urgent")]


def test_a_release_that_is_not_worse_than_the_champion_by_the_pairs_follows_it(registry):
    registry.project.edit(release__gates={"flagged@broad": {"not_worse_by": 0.1}})
    promote(registry.params, "1")
    assert promote(registry.params, "2").outcome == "promoted"
    worse = promote(registry.params, "3")
    assert worse.outcome == "undone" and "worse than the champion by 0.27" in worse.reasons[0]


def test_a_deleted_champion_leaves_none_until_somebody_decides(registry):
    for version in ("1", "2"):
        promote(registry.params, version)
    registry.client.delete_model_version(MODEL, "2")
    assert registry.reconcile().outcome == "none"
    assert registry.champion is None
    registry.move("3")
    assert registry.reconcile().champion is None, "that one fails its gates brings nobody back"
    assert roll_back(registry.params).champion == "1"


@pytest.mark.parametrize("how", ["deleted", "withdrawn"])
def test_a_champion_that_was_taken_away_does_not_come_back_by_a_promotion_that_fails(registry, how):
    for version in ("1", "2"):
        promote(registry.params, version)
    if how == "deleted":
        registry.client.delete_model_version(MODEL, "2")  # and no pass looks before the next promotion
    else:
        registry.client.delete_registered_model_alias(MODEL, "champion")
        assert registry.reconcile().outcome == "none"
    registry.move("3")
    undone = registry.reconcile()
    assert (undone.outcome, undone.champion, registry.champion) == ("undone", None, None)
    assert "there is no champion" in undone.describe(MODEL)[0]
    assert promote(registry.params, "1").champion == "1" and registry.reconcile().outcome == "unchanged"
    registry.move("3")
    assert registry.reconcile().champion == "1"


@pytest.mark.parametrize("step", ["deleted", "moved"])
def test_a_champion_that_goes_during_a_pass(registry, step):
    promote(registry.params, "1")

    def publish(release, name):
        if step == "deleted":
            registry.client.delete_model_version(MODEL, "2")
        elif name.endswith(registry.tags("2")["hfi.release"][:16]):
            registry.move("3")  # two promotions at once, and the second one fails
        return "somewhere"

    registry.move("2")
    result = registry.reconcile(publish=publish)
    assert registry.champion == result.champion == {"deleted": None, "moved": "1"}[step]
    recorded = read_promotions(read_versions(registry.client, MODEL).values())
    assert [record.version for record in recorded] == ["1"]
    assert registry.reconcile().outcome == {"deleted": "none", "moved": "unchanged"}[step]


def test_an_alias_without_a_version_is_reported_once_with_how_to_fix_it(registry, monkeypatch):
    promote(registry.params, "1")
    passes = []

    def read(client, model):
        passes.append(state := read_registry(client, model))
        return replace(state, versions={})  # MLflow's own deletion takes the alias along, other registries' may not

    monkeypatch.setattr(promotion, "read_registry", read)
    result = registry.reconcile()
    assert (result.outcome, result.version, len(passes)) == ("dangling", "1", 1)
    assert "does not exist any more" in result.describe(MODEL)[0] and "hfi rollback" in result.describe(MODEL)[1]


@pytest.mark.parametrize("alias", ["Champion", "CHAMPION"])
def test_an_alias_with_a_capital_letter_is_named(registry, capsys, alias):
    registry.client.set_registered_model_alias(MODEL, alias, "1")
    assert registry.reconcile().outcome == "none"
    assert f"The alias {alias} of {MODEL} does not count" in capsys.readouterr().err


class Crash(BaseException):
    """The process is gone."""


class Dying:
    """A client of the registry that dies before its `last`-th change."""

    def __init__(self, client, last: int):
        self._client, self._left = client, last

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if not name.startswith(("set_", "delete_")):
            return method
        if self._left == 0:
            raise Crash
        self._left -= 1
        return method


@pytest.mark.parametrize(("version", "changes"), [("2", 7), ("3", 2)])
def test_a_crash_before_any_change_is_completed_by_the_next_pass(registry, version, changes):
    promote(registry.params, "1", by="Ada")
    if version == "2":
        registry.client.set_model_version_tag(MODEL, "2", "promotion_refused", "earlier")
    folder = registry.project.folder
    forget_engines()
    start = (folder / "mlflow.db").read_bytes()
    published = set((folder / "published" / MODEL).iterdir())

    def begin() -> None:
        forget_engines()
        (folder / "mlflow.db").write_bytes(start)
        registry.client.set_model_version_tag(MODEL, version, "approved_by", "Grace")
        for path in set((folder / "published" / MODEL).iterdir()) - published:
            shutil.rmtree(path)
        registry.move(version)

    begin()
    registry.reconcile()
    wanted = registry.state()
    for last in range(changes):
        begin()
        with pytest.raises(Crash):
            reconcile_promotions(registry.params, client=Dying(registry.client, last))
        registry.reconcile()
        assert registry.state() == wanted, last
    begin()
    reconcile_promotions(registry.params, client=Dying(registry.client, changes))  # no change was left out above
    assert registry.state() == wanted


def test_kill_9_in_the_middle_of_publishing(registry, forked):
    registry.move("2")
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom flows.releases.promotion import reconcile_promotions\n"
        "from hfi_core.params import load_params\n"
        "reconcile_promotions(load_params(Path('params.yaml')), lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run(["python", "-c", script], env=forked).returncode == -signal.SIGKILL
    assert registry.champion == "2" and "promoted_at" not in registry.tags("2")
    assert registry.reconcile().outcome == "promoted"


def _hfi(*arguments: str, code: int = 0) -> str:
    """What a command says; in this process, which has MLflow loaded."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, UserError):
        assert code == 2
        return str(done.exception)
    assert done.exit_code == code, done.output
    return done.output


def test_a_version_says_where_it_comes_from(registry):
    promote(registry.params, "1")
    (registry.project.folder / "dvc.lock").write_text("schema: '2.0'\n")
    four = registry.client.get_model_version(MODEL, registry.add(4, flagged=2))
    assert four.tags["hfi.parent"] == "1"
    assert four.tags["hfi.dvc.lock"] == sha256_of_file(registry.project.folder / "dvc.lock")
    assert "on simulated feedback" in four.description and "`flagged@broad` pass: 0.02" in four.description


def test_the_flow_does_the_same_and_fails_where_it_undoes(registry, server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", server)
    from flows.promotions import promotions as flow

    registry.move("2")
    assert flow(return_state=True).is_completed() and registry.champion == "2"
    registry.move("3")
    state = flow(return_state=True)
    assert state.is_failed() and "version 3 was undone" in state.message and registry.champion == "2"


def test_a_lost_publication_is_made_again_from_the_registry_where_params_say_now(registry):
    published = Path(promote(registry.params, "1").published)
    shutil.rmtree(published)
    shutil.rmtree(registry.project.folder / "release")  # another machine has none
    dry = _hfi("publish", "--version", "champion", "--dry-run")
    assert "2 of 2 files would be sent" in dry and "done" not in dry
    assert "published, 2 of 2 files sent" in _hfi("publish", "--version", "champion")
    assert register.release_digest(published) == registry.tags("1")["hfi.release"]
    registry.project.edit(publish__to="elsewhere")
    _hfi("publish", "--version", "1")
    assert "elsewhere/" in registry.tags("1")["published"] and "elsewhere/" in _hfi("promotions")
    assert registry.reconcile().outcome == "unchanged"
    _hfi("publish", "--version", "2")
    assert "published" not in registry.tags("2"), "it was never promoted"
    shutil.rmtree(registry.project.folder / "elsewhere")
    registry.client.set_model_version_tag(MODEL, "2", "hfi.release", "0" * 64)
    assert "version 2 cannot be published: the files" in _hfi("publish", "--version", "2", code=2)


def test_a_clone_that_has_no_registry_of_its_own_promotes_in_the_one_that_params_name(registry, tmp_path):
    for name in ("params.yaml", "operations.yaml"):
        shutil.copy(registry.project.folder / name, tmp_path)
    clone = FakeProject(tmp_path, registry.project.environment)
    assert f"{MODEL} version 1 is champion now" in clone.hfi("promote", "1").stdout
    assert not (tmp_path / "mlflow.db").exists() and list((tmp_path / "published").rglob("content.json"))


def test_the_commands_end_by_what_they_did(registry):
    assert "was undone; there is no champion" in _hfi("promote", "3", code=1)
    assert f"{MODEL} version 1 is champion now" in _hfi("promote", "1", "--by", "Ada")
    assert "is champion, as recorded" in _hfi("promotions")
    assert "has no earlier champion" in _hfi("rollback", code=2)
    table = _hfi("compare", "champion", "2", "--page", "both.html")
    assert "flagged@broad" in table and "-0.010 [" in table
    page = (registry.project.folder / "both.html").read_text()
    assert page.count("data:image/png") == 16 and "badge 0, seed 0" in page
