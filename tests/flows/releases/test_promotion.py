"""A person moves the alias `champion` in MLflow: gates, publication, record, and what is undone."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.releases.champion import promotions, versions_of
from flows.releases.promotion import promote, reconcile_promotions, roll_back
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.pipeline import release as register
from tests.support.flow_fixtures import FakeProject
from tests.support.promoted import MODEL, forget_engines


def test_moving_the_alias_publishes_and_records_once(here):
    here.client.set_model_version_tag(MODEL, "1", "approved_by", "Ada")
    here.move("1")
    first = here.settle()
    assert (first.found, first.champion) == ("promoted", "1")
    assert Path(first.published, "digests.json").read_bytes()
    assert register.release_digest(Path(first.published)) == here.tags("1")["hfi.release"]
    assert (here.tags("1")["promoted_by"], here.tags("1")["published"]) == ("Ada", first.published)
    before = here.tags("1")
    assert here.settle().found == "settled"
    assert here.tags("1") == before


def _by(here) -> list[str]:
    """Who promoted, by the record, the last one first."""
    return [one.by for one in promotions(versions_of(here.client, MODEL).values())]


def test_who_approved_one_promotion_is_not_told_of_the_next(here):
    promote(here.params, "1", by="Ada")
    promote(here.params, "2", by="Grace")
    here.move("1")
    here.settle()
    assert _by(here) == ["not told", "Grace", "Ada"]
    assert "approved_by" not in here.tags("1") | here.tags("2")


def test_who_it_was_may_be_told_after_the_pass_and_counts_once(here):
    here.move("1")
    here.settle()
    here.client.set_model_version_tag(MODEL, "1", "approved_by", "Ada")
    here.settle()
    assert (_by(here), here.tags("1")["promoted_by"]) == (["Ada"], "Ada")
    here.client.set_model_version_tag(MODEL, "1", "approved_by", "Grace")
    here.settle()
    assert _by(here) == ["Ada"] and "approved_by" not in here.tags("1")


def test_a_promotion_that_fails_its_gates_is_undone_and_says_why(here):
    here.move("3")
    assert here.settle().champion is None
    assert here.champion is None
    here.move("1")
    here.settle()
    here.move("3")
    undone = here.settle()
    assert (undone.found, undone.champion, here.champion) == ("undone", "1", "1")
    assert "flagged@broad: fail: 0.3" in here.tags("3")["promotion_refused"]
    assert here.settle().found == "settled"


def test_an_override_lets_it_stand_and_is_recorded(here):
    here.client.set_model_version_tag(MODEL, "3", "override", "the judge is known to be wrong here")
    here.move("3")
    assert here.settle().found == "promoted"
    (record,) = promotions(versions_of(here.client, MODEL).values())
    assert record.override == "the judge is known to be wrong here"
    assert "promotion_refused" not in here.tags("3")


def test_a_return_to_a_champion_by_override_is_recorded_with_it(here):
    promote(here.params, "3", override="urgent")
    promote(here.params, "1")
    here.client.delete_model_version_tag(MODEL, "3", "override")
    assert promote(here.params, "3").found == "promoted"
    recorded = promotions(versions_of(here.client, MODEL).values())
    assert [(one.version, one.override) for one in recorded] == [("3", "urgent"), ("1", None), ("3", "urgent")]


def test_a_release_that_is_not_worse_than_the_champion_by_the_pairs_follows_it(here):
    here.project.edit(release__gates={"flagged@broad": {"not_worse_by": 0.1}})
    promote(here.params, "1")
    assert promote(here.params, "2").found == "promoted"
    worse = promote(here.params, "3")
    assert worse.found == "undone" and "worse than the champion by 0.27" in worse.reasons[0]


def test_a_deleted_champion_leaves_none_until_somebody_decides(here):
    for version in ("1", "2"):
        promote(here.params, version)
    here.client.delete_model_version(MODEL, "2")
    assert here.settle().found == "none"
    assert here.champion is None
    here.move("3")
    assert here.settle().champion is None, "that one fails its gates brings nobody back"
    assert roll_back(here.params).champion == "1"


@pytest.mark.parametrize("how", ["deleted", "withdrawn"])
def test_a_champion_that_was_taken_away_does_not_come_back_by_a_promotion_that_fails(here, how):
    for version in ("1", "2"):
        promote(here.params, version)
    if how == "deleted":
        here.client.delete_model_version(MODEL, "2")  # and no pass looks before the next promotion
    else:
        here.client.delete_registered_model_alias(MODEL, "champion")
        assert here.settle().found == "none"
    here.move("3")
    undone = here.settle()
    assert (undone.found, undone.champion, here.champion) == ("undone", None, None)
    assert "there is no champion" in undone.told(MODEL)[0]
    assert promote(here.params, "1").champion == "1" and here.settle().found == "settled"
    here.move("3")
    assert here.settle().champion == "1"


@pytest.mark.parametrize("step", ["deleted", "moved"])
def test_a_champion_that_goes_while_it_is_settled(here, step):
    promote(here.params, "1")

    def publish(release, name):
        if step == "deleted":
            here.client.delete_model_version(MODEL, "2")
        elif name.endswith(here.tags("2")["hfi.release"][:16]):
            here.move("3")  # two promotions at once, and the second one fails
        return "somewhere"

    here.move("2")
    settled = here.settle(publish=publish)
    assert here.champion == settled.champion == {"deleted": None, "moved": "1"}[step]
    recorded = promotions(versions_of(here.client, MODEL).values())
    assert [one.version for one in recorded] == ["1"]
    assert here.settle().found == {"deleted": "none", "moved": "settled"}[step]


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
def test_a_crash_before_any_change_is_mended_by_the_next_pass(here, version, changes):
    promote(here.params, "1", by="Ada")
    if version == "2":
        here.client.set_model_version_tag(MODEL, "2", "promotion_refused", "earlier")
    folder = here.project.folder
    forget_engines()
    start = (folder / "mlflow.db").read_bytes()
    published = set((folder / "published" / MODEL).iterdir())

    def begin() -> None:
        forget_engines()
        (folder / "mlflow.db").write_bytes(start)
        here.client.set_model_version_tag(MODEL, version, "approved_by", "Grace")
        for path in set((folder / "published" / MODEL).iterdir()) - published:
            shutil.rmtree(path)
        here.move(version)

    begin()
    here.settle()
    wanted = here.state()
    for last in range(changes):
        begin()
        with pytest.raises(Crash):
            reconcile_promotions(here.params, client=Dying(here.client, last))
        here.settle()
        assert here.state() == wanted, last
    begin()
    reconcile_promotions(here.params, client=Dying(here.client, changes))  # no change was left out above
    assert here.state() == wanted


def test_kill_9_in_the_middle_of_publishing(here, forked):
    here.move("2")
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom flows.releases.promotion import reconcile_promotions\n"
        "from hfi_core.params import load_params\n"
        "reconcile_promotions(load_params(Path('params.yaml')), lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run(["python", "-c", script], env=forked).returncode == -signal.SIGKILL
    assert here.champion == "2" and "promoted_at" not in here.tags("2")
    assert here.settle().found == "promoted"


def _hfi(*arguments: str, code: int = 0) -> str:
    """What a command says; in this process, which has MLflow loaded."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, UserError):
        assert code == 2
        return str(done.exception)
    assert done.exit_code == code, done.output
    return done.output


def test_a_version_says_where_it_comes_from(here):
    promote(here.params, "1")
    (here.project.folder / "dvc.lock").write_text("schema: '2.0'\n")
    four = here.client.get_model_version(MODEL, here.add(4, flagged=2))
    assert four.tags["hfi.parent"] == "1"
    assert four.tags["hfi.dvc.lock"] == sha256_of_file(here.project.folder / "dvc.lock")
    assert "on simulated feedback" in four.description and "`flagged@broad` pass: 0.02" in four.description


def test_the_flow_does_the_same_and_fails_where_it_undoes(here, server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", server)
    from flows.promotions import promotions as flow

    here.move("2")
    assert flow(return_state=True).is_completed() and here.champion == "2"
    here.move("3")
    state = flow(return_state=True)
    assert state.is_failed() and "version 3 was undone" in state.message and here.champion == "2"


def test_a_lost_publication_is_made_again_from_the_registry_where_params_say_now(here):
    published = Path(promote(here.params, "1").published)
    shutil.rmtree(published)
    shutil.rmtree(here.project.folder / "release")  # another machine has none
    assert "2 of 2 files would be sent" in _hfi("publish", "--version", "champion", "--dry-run")
    assert "published, 2 of 2 files sent" in _hfi("publish", "--version", "champion")
    assert register.release_digest(published) == here.tags("1")["hfi.release"]
    here.project.edit(publish__to="elsewhere")
    _hfi("publish", "--version", "1")
    assert "elsewhere/" in here.tags("1")["published"] and "elsewhere/" in _hfi("promotions")
    assert here.settle().found == "settled"
    _hfi("publish", "--version", "2")
    assert "published" not in here.tags("2"), "it was never promoted"
    shutil.rmtree(here.project.folder / "elsewhere")
    here.client.set_model_version_tag(MODEL, "2", "hfi.release", "0" * 64)
    assert "version 2 cannot be published: the files" in _hfi("publish", "--version", "2", code=2)


def test_a_clone_that_has_no_registry_of_its_own_promotes_in_the_one_that_params_name(here, tmp_path):
    shutil.copy(here.project.folder / "params.yaml", tmp_path)
    clone = FakeProject(tmp_path, here.project.environment)
    assert f"{MODEL} version 1 is champion now" in clone.hfi("promote", "1").stdout
    assert not (tmp_path / "mlflow.db").exists() and list((tmp_path / "published").rglob("content.json"))


def test_the_commands_end_by_what_they_did(here):
    assert "was undone; there is no champion" in _hfi("promote", "3", code=1)
    assert f"{MODEL} version 1 is champion now" in _hfi("promote", "1", "--by", "Ada")
    assert "is champion, as recorded" in _hfi("promotions")
    assert "has no earlier champion" in _hfi("rollback", code=2)
    told = _hfi("compare", "champion", "2", "--page", "both.html")
    assert "flagged@broad" in told and "-0.010 [" in told
    page = (here.project.folder / "both.html").read_text()
    assert page.count("data:image/png") == 16 and "badge 0, seed 0" in page
