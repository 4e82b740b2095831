"""A person moves the alias `champion` in MLflow: gates, publication, record, and what is undone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from flows import registry
from flows.champions import promotions
from flows.cli import app
from flows.figures import Figures
from flows.promoting import promote, roll_back
from flows.promotion import champion_of, settle_promotions, versions_of
from flows.registered import registry_client
from hfi_core.errors import UserError
from hfi_core.files import sha256_of_file, write_json, write_jsonl
from hfi_core.pictures import save_picture
from tests.flows.conftest import FakeProject
from tests.flows.fakes import write_sizes

MODEL = "emblems-safeguarded"


class Registry:
    """A project with some registered versions, and the registry as a person in MLflow's UI sees it."""

    def __init__(self, project):
        self.project = project
        self.client = registry_client(project.params)

    @property
    def params(self):
        return self.project.params

    def add(self, seed: int, flagged: int = 4) -> str:
        """Register another release of which `flagged` in 100 pictures are flagged; its number."""
        release = self.project.folder / "release"
        release.mkdir(exist_ok=True)
        write_json(release / "content.json", {"seed": seed})
        write_sizes(release)
        digest = f"sha256:{sha256_of_file(release / 'content.json')}"
        write_json(release / "digests.json", {"files": {"content.json": digest}})
        records = [
            {"suite": "broad", "index": i, "prompt": f"badge {i % 10}", "seed": i, "flagged": i < flagged,
             "kept": i >= flagged, "correct": True, "readable": True}
            for i in range(100)
        ]  # fmt: skip
        row = self.project.folder / "evaluation/anchored"
        write_jsonl(row / "pictures.jsonl", records)
        for i in range(8):
            save_picture(row / f"pictures/broad/{i:05d}.png", np.full((8, 8, 3), 20 * i, np.uint8))
        rows = [
            {"row": name, "metrics": {"flagged@broad": {"value": value, "low": value, "high": value, "n": 100}}}
            for name, value in (("base", 0.5), ("anchored", flagged / 100))
        ]
        write_json(self.project.folder / "reports/evaluation.json", {"rows": rows})
        return registry.register(self.params).version

    def move(self, version: str) -> None:
        self.client.set_registered_model_alias(MODEL, "champion", version)

    def settle(self, **how):
        return settle_promotions(self.params, **how)

    @property
    def champion(self) -> str | None:
        return champion_of(self.client, MODEL)

    def tags(self, version: str) -> dict[str, str]:
        return self.client.get_model_version(MODEL, version).tags

    def state(self) -> tuple:
        """Everything that a promotion leaves, but for the time."""
        recorded = promotions(versions_of(self.client, MODEL).values())
        refused = [one for one in versions_of(self.client, MODEL) if "promotion_refused" in self.tags(one)]
        folder = self.project.folder / "published"
        published = sorted(path.relative_to(folder) for path in folder.rglob("*") if not path.name.startswith("."))
        told = [(one.version, one.number, one.by, one.published, one.override, one.line) for one in recorded]
        last = self.client.get_registered_model(MODEL).tags.get("promotion.last")
        approved = [one for one in versions_of(self.client, MODEL) if "approved_by" in self.tags(one)]
        return self.champion, told, sorted(refused), published, last, approved


@pytest.fixture(scope="module")
def _three(_template, fake_environment, tmp_path_factory):
    """Versions 1 and 2 pass; 3 fails its gate."""
    folder = tmp_path_factory.mktemp("registry") / "project"
    project = FakeProject(Path(shutil.copytree(_template, folder)), fake_environment)
    (folder / "reports").mkdir()
    project.edit(publish__to="published", tracking__mlflow=f"sqlite:///{project.folder}/mlflow.db")
    here = Path.cwd()
    os.chdir(project.folder)
    try:
        made = Registry(project)
        made.add(1), made.add(2, flagged=3), made.add(3, flagged=30)
    finally:
        os.chdir(here)
    return project


@pytest.fixture
def here(_three, monkeypatch):
    """A registry whose database, publications and params are put back after each test; artifacts stay."""
    folder = _three.folder
    monkeypatch.chdir(folder)
    kept = {name: (folder / name).read_bytes() for name in ("mlflow.db", "params.yaml")}
    yield Registry(_three)
    _forget_engines()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    shutil.rmtree(folder / "published", ignore_errors=True)


def _forget_engines():
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs

    for store in (Models, Runs):
        for engine in getattr(store, "_engine_map", {}).values():
            engine.dispose()


def test_moving_the_alias_publishes_and_records_once(here):
    here.client.set_model_version_tag(MODEL, "1", "approved_by", "Ada")
    here.move("1")
    first = here.settle()
    assert (first.found, first.champion) == ("promoted", "1")
    assert Path(first.published, "digests.json").read_bytes()
    assert registry.release_digest(Path(first.published)) == here.tags("1")["hfi.release"]
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


def test_stored_files_that_are_not_the_release_are_never_published(here):
    client, version = here.client, here.client.get_model_version(MODEL, "1")
    client.set_model_version_tag(MODEL, "1", "override", "no reason is enough for that")
    client.set_model_version_tag(MODEL, "1", "hfi.release", "0" * 64)
    here.move("1")
    assert "not the release that was registered" in here.settle().reasons[0]
    assert here.champion is None and version and not (here.project.folder / "published").exists()


def test_figures_that_were_changed_in_mlflow_pass_no_gate(here):
    here.client.set_model_version_tag(MODEL, "1", "hfi.evaluation", "0" * 64)
    here.move("1")
    assert "not those that were registered" in here.settle().reasons[0]


@pytest.mark.parametrize("value", ["{", "[]", "{}", '{"line": "12"}', '{"line": [1], "at": 1}', "[" * 4000])
def test_a_record_that_somebody_else_wrote_lets_nothing_pass(here, value):
    promote(here.params, "1")
    here.client.set_model_version_tag(MODEL, "2", "promotion.0007", value)
    assert here.settle().found == "settled", "it is nothing to the champion"
    here.move("2")
    undone = here.settle()
    assert (undone.found, here.champion) == ("undone", "1")
    assert undone.reasons == ("its tag promotion.0007 is no record of a promotion; delete the tag in MLflow",)
    here.client.delete_model_version_tag(MODEL, "2", "promotion.0007")
    assert promote(here.params, "2").found == "promoted"


@pytest.mark.parametrize("last", ["", "many", "9" * 4000])
def test_a_number_of_the_last_decision_that_is_none_stops_nothing(here, last):
    here.client.set_registered_model_tag(MODEL, "promotion.last", last)
    assert promote(here.params, "1").found == "promoted"


def test_a_version_without_its_row_or_with_figures_of_another_form_is_refused(here, monkeypatch):
    monkeypatch.setattr("flows.figures.figures_of", lambda *_: Figures({"rows": [{"row": "anchored"}]}, [], {}))
    here.move("1")
    assert here.settle().reasons == ("its figures cannot be read (KeyError)",)
    here.client.delete_model_version_tag(MODEL, "1", "hfi.row")
    here.move("1")
    assert "no tag hfi.row" in here.settle().reasons[0] and here.champion is None


def test_a_list_of_digests_that_leads_out_of_the_release_is_refused(tmp_path):
    release, outside = tmp_path / "release", tmp_path / "params.yaml"
    release.mkdir()
    outside.write_text("seed: 0")
    digest = f"sha256:{sha256_of_file(outside)}"
    for name in ("../params.yaml", str(outside)):
        write_json(release / "digests.json", {"files": {name: digest}})
        with pytest.raises(UserError, match="which is no file of the release"):
            registry.require_whole(release)


def test_rolling_back_walks_the_record_and_skips_what_was_deleted(here):
    for version in ("1", "2"):
        promote(here.params, version, by="Ada")
    promote(here.params, "3", by="Ada", override="urgent")
    assert roll_back(here.params, by="Grace").champion == "2"
    assert here.tags("2")["promoted_by"] == "Grace"
    assert roll_back(here.params).champion == "1"
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(here.params)
    promote(here.params, "3")
    here.client.delete_model_version(MODEL, "1")
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(here.params)


def test_a_roll_back_goes_from_where_the_alias_is_settled_or_not(here):
    for version in ("1", "2"):
        promote(here.params, version)
    here.move("3")
    assert roll_back(here.params).champion == "2", "version 3 was never champion"
    here.move("1")
    with pytest.raises(UserError, match="no earlier champion"):
        roll_back(here.params)
    assert here.champion == "1"


def _down(release, name):
    raise UserError("s3://bucket cannot be reached.")


def test_a_roll_back_moves_the_alias_before_anything_that_may_fail_or_take_long(here):
    for version in ("1", "2"):
        promote(here.params, version)
    here.client.set_model_version_tag(MODEL, "3", "override", "urgent")
    here.move("3")
    assert roll_back(here.params, publish=_down).champion == "2", "what is pending need not be published first"
    with pytest.raises(UserError, match=r"(?s)is at version 1 now, but that is neither published .* cannot be reached"):
        roll_back(here.params, publish=_down)
    assert here.champion == "1"
    assert here.settle().found == "promoted"


def test_a_roll_back_does_not_wait_for_a_pass_that_publishes(here, capsys):
    for version in ("1", "2"):
        promote(here.params, version)
    with FileLock((here.project.folder / ".hfi/promotions.lock").absolute()):
        rolling = Thread(target=roll_back, args=(here.params,))
        rolling.start()
        until = time.monotonic() + 30
        while here.champion != "1" and time.monotonic() < until:
            time.sleep(0.05)
        assert here.champion == "1" and rolling.is_alive()
        assert "promotion.0003" not in here.tags("1")
    rolling.join()
    assert "is at version 1 now. Another pass is at work" in capsys.readouterr().err
    assert here.settle().found == "settled"


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
    _forget_engines()
    start = (folder / "mlflow.db").read_bytes()
    published = set((folder / "published" / MODEL).iterdir())

    def begin() -> None:
        _forget_engines()
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
            settle_promotions(here.params, client=Dying(here.client, last))
        here.settle()
        assert here.state() == wanted, last
    begin()
    settle_promotions(here.params, client=Dying(here.client, changes))  # no change was left out above
    assert here.state() == wanted


def test_kill_9_in_the_middle_of_publishing(here):
    here.move("2")
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom flows.promotion import settle_promotions\n"
        "from hfi_core.params import read_params\n"
        "settle_promotions(read_params(Path('params.yaml')), lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
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
    from flows.promotion_flow import promotions as flow

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
    assert registry.release_digest(published) == here.tags("1")["hfi.release"]
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
