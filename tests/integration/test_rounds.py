"""The whole loop twice on the embedded model: what attacks brought back in the first is learned from in the second."""

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.labels import read_labels
from hfi_core.io.json_files import read_json
from tests.support.clones import Clone, clone
from tests.support.loop import bytes_below
from tests.support.projects import CLOSED_FORM, read_raw, write_raw

SET = "data/candidates/badge-round-1"


def edit(made: Clone, **sections) -> None:
    raw = read_raw(made.folder)
    write_raw(made.folder, raw | {key: raw[key] | changes for key, changes in sections.items()})
    made.command("hfi", "params", "sync")


@pytest.fixture(scope="module")
def first(forked, tmp_path_factory) -> Clone:
    """A project after its first run, and a first `hfi round`, whose set DVC tracks."""
    made = clone(tmp_path_factory.mktemp("rounds") / "project", forked)
    edit(made, removals={"anchored": CLOSED_FORM}, release={"lora": None})
    made.command("hfi", "run")
    made.command("hfi", "round", "--all")
    made.command("dvc", "add", "-q", SET)
    return made


@pytest.fixture(scope="module")
def second(first) -> tuple[Clone, dict[str, str], list[str]]:
    """The project after the second run, and the pictures and the judgements before it."""
    pictures = bytes_below(first.folder / "candidates/badge/pictures", named_from=first.folder)
    judgements = (first.folder / "feedback/simulated.jsonl").read_text().splitlines()
    edit(first, candidates={"imported": {"badge": [SET]}})
    first.command("hfi", "run")
    return first, pictures, judgements


@pytest.mark.timeout(900)
def test_a_second_call_before_the_next_run_changes_nothing(first):
    before = bytes_below(first.folder / "data")
    assert "nothing changed" in first.command("hfi", "round")
    assert bytes_below(first.folder / "data") == before


@pytest.mark.timeout(900)
def test_earlier_pictures_and_judgements_stay_and_the_new_ones_are_judged(second):
    made, pictures, judgements = second
    new = {row.id for row in read_manifest(made.folder / SET)}
    after = bytes_below(made.folder / "candidates/badge/pictures", named_from=made.folder)
    assert new and pictures.items() <= after.items()
    assert after.keys() - pictures.keys() == {f"candidates/badge/pictures/{id}.png" for id in new}
    answers = (made.folder / "feedback/simulated.jsonl").read_text().splitlines()
    assert set(judgements) < set(answers)
    # An answer may be "can't tell", so a new picture need not have a label.
    assert all(any(f'"{id}"' in line for line in answers) for id in new)


def test_the_page_shows_both_rounds(second):
    made, *_ = second
    one, now = read_json(made.folder / "reports/evaluation.json")["rounds"]
    assert (one["number"], one["row"], now["number"], now["row"]) == (1, "anchored", None, "anchored")
    new = {row.id for row in read_manifest(made.folder / SET)}
    labelled = {label.picture for label in read_labels(made.folder / "labels/badge")}
    assert one["candidates"] == len(new) and one["judged"] == len(new & labelled)
    page = (made.folder / "reports/report.html").read_text(encoding="utf-8")
    assert "Attack success by round" in page and "badge, round 1" in page and ">now<" in page


def test_the_attackers_of_the_second_round_have_other_seeds(second):
    made, *_ = second
    seeds = {row.seed for row in read_manifest(made.folder / SET)}
    lines = (made.folder / "attacks/anchored/reinverted/prompts.csv").read_text().splitlines()[1:]
    assert lines and seeds.isdisjoint(int(line.split(",")[2]) for line in lines)


def test_dvc_and_hfi_find_all_up_to_date_and_the_release_is_traced(second):
    made, *_ = second
    assert "up to date" in made.command("dvc", "status")
    assert "nothing to do" in made.command("hfi", "run").lower()
    assert "out of date" not in made.command("hfi", "status")
    assert "labels/badge" in made.command("hfi", "trace", "2")
    tracked = made.command("git", "status", "--porcelain", "--untracked-files=all")
    assert f"{SET}.dvc" in tracked and "drawn/" not in tracked and f"{SET}/" not in tracked


def test_the_next_round_takes_what_the_second_run_brought_back(second):
    made, *_ = second
    assert "data/candidates/badge-round-2" in made.command("hfi", "round", "--all")
    rows = read_manifest(made.folder / "data/candidates/badge-round-2")
    assert {row.attack.round for row in rows} == {2}
    earlier = {row.sha256 for row in read_manifest(made.folder / SET)}
    assert earlier.isdisjoint(row.sha256 for row in rows)
